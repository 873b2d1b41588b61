/** Why each node of a run ran, in words of the server: which input, version or file changed. */
import { useEffect, useState } from "react";
import { api } from "../service/api";
import { words } from "../service/refused";

interface Answer {
  readonly node: string;
  readonly ran: boolean;
  readonly text: string;
}

interface WhyRanProps {
  readonly job: string;
  /** Only of this node. */
  readonly node?: string;
}

export function WhyRan({ job, node }: WhyRanProps) {
  const [answers, setAnswers] = useState<readonly Answer[] | string | null>(null);
  useEffect(() => {
    let gone = false;
    api.jobWhy(job).then(
      ({ nodes }) => {
        if (!gone) setAnswers(Object.entries(nodes).map(([id, { ran, text }]) => ({ node: id, ran, text })));
      },
      (error: unknown) => {
        if (!gone) setAnswers(words(error));
      },
    );
    return () => {
      gone = true;
    };
  }, [job]);
  if (answers === null) return <p className="quiet why">Asking.</p>;
  if (typeof answers === "string") return <p className="failed why">{answers}</p>;
  const shown = node === undefined ? answers.filter(({ ran }) => ran) : answers.filter((answer) => answer.node === node);
  if (shown.length === 0) return <p className="quiet why">{node === undefined ? "No node had to run: everything came from the cache." : `${node} was not part of this run.`}</p>;
  return (
    <ul className="why quiet">
      {shown.map(({ node: id, text }) => (
        <li key={id} className="why__line">
          {text}
        </li>
      ))}
    </ul>
  );
}
