/** What differs between two workflows, by node: what it was, what it is. */
import { useMemo } from "react";
import { type Difference, differences, valueWords } from "../document/difference";
import type { Document } from "../document/types";
import { counted } from "../state/words";
import "../styles/panels.css";

interface DifferenceListProps {
  readonly a: Document;
  readonly b: Document;
  /** What the two are called: "theirs", "yours". */
  readonly names: readonly [string, string];
}

/** Differences by node, those of the workflow itself first. */
export function byNode(found: readonly Difference[]): Map<string, Difference[]> {
  const nodes = new Map<string, Difference[]>();
  for (const difference of found) nodes.set(difference.node, [...(nodes.get(difference.node) ?? []), difference]);
  return nodes;
}

/** The input, or what else of the node it is. */
function what({ input, what: kind }: Difference): string {
  if (kind === "added" || kind === "removed") return "the node";
  return input ?? kind;
}

function side(difference: Difference, which: "was" | "now"): string {
  const value = difference[which];
  if (value === undefined) return difference.what === "added" || difference.what === "removed" ? "not there" : difference.what === "mode" ? "on" : "as usual";
  return valueWords(value);
}

export function DifferenceList({ a, b, names }: DifferenceListProps) {
  const nodes = useMemo(() => byNode(differences(a, b)), [a, b]);
  if (nodes.size === 0) return <p className="quiet small">Nothing but places, notes or groups differs.</p>;
  return (
    <div className="diff" role="group" aria-label="Differences by node">
      <p className="small quiet">Differs at {counted(nodes.size, "place")}.</p>
      {[...nodes].map(([node, list]) => (
        <section key={node} aria-label={node || "the workflow"}>
          <h3 className="diff__node">{node || "the workflow"}</h3>
          <p className="diff__line diff__head" aria-hidden="true">
            <span />
            <span>{names[0]}</span>
            <span>{names[1]}</span>
          </p>
          {list.map((difference, at) => (
            <p key={at} className="diff__line">
              <span className="quiet">{what(difference)}</span>
              <span>
                <span className="sr-only">{names[0]}: </span>
                {side(difference, "was")}
              </span>
              <span>
                <span className="sr-only">{names[1]}: </span>
                {side(difference, "now")}
              </span>
            </p>
          ))}
        </section>
      ))}
    </div>
  );
}
