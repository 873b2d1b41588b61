/** "A and B differ in sega.scale: 2.0 and 0.0": read from the two workflows. */
import { useMemo } from "react";
import type { Document } from "../document/types";
import { pairWords, pictureDifferences, whereWords } from "./compareData";

interface WhatDiffersProps {
  readonly a: Document | null | undefined;
  readonly b: Document | null | undefined;
}

const MOST = 12;

export function WhatDiffers({ a, b }: WhatDiffersProps) {
  const found = useMemo(() => (a && b ? pictureDifferences(a, b) : null), [a, b]);
  if (a === null || b === null) return <p className="small quiet differ">The workflow of one of them is not there any more.</p>;
  if (found === null) return <p className="small quiet differ">Reading their workflows.</p>;
  if (found.length === 0) return <p className="small quiet differ">A and B come from the same workflow.</p>;
  return (
    <div className="small quiet differ">
      <h2 className="differ__head">What differs</h2>
      <ul>
        {found.slice(0, MOST).map((difference, at) => (
          <li key={at}>
            <span className="code">{whereWords(difference)}</span>: {pairWords(difference)}
          </li>
        ))}
        {found.length > MOST && <li>and {found.length - MOST} more</li>}
      </ul>
    </div>
  );
}
