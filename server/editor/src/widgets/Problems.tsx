/** What is wrong with a field, in sentences, with the fixes as buttons. */
import type { InputType } from "../catalogue/types";
import type { Json } from "../document/types";
import type { Problem } from "../service/types";
import { classes } from "./field";
import { fixesOf, type Fix } from "./fixes";

interface ProblemsProps {
  readonly id: string;
  readonly problems: readonly Problem[];
  readonly input: InputType | undefined;
  readonly value: Json | undefined;
  /** On cards the sentence is for screen readers: the card has its own line for it. */
  readonly quiet?: boolean | undefined;
  /** Whether the node has a value for another input. */
  set?(input: string): boolean;
  onFix(fix: Fix): void;
}

export function FieldProblems({ id, problems, input, value, quiet, set, onFix }: ProblemsProps) {
  if (problems.length === 0) return null;
  return (
    <div id={id} className={quiet ? "sr-only" : "field__problems small"}>
      {problems.map((problem, at) => (
        <p key={at} className={classes("field__problem", problem.severity === "warning" && "field__problem--warn")}>
          <span>{problem.message}</span>
          {!quiet &&
            // The focus stays where it is until the click: what it opens or closes would move the button away from under the pointer.
            fixesOf(problem, input, value, set).map((fix, index) => (
              <button key={index} type="button" className="button button--small" onMouseDown={(event) => event.preventDefault()} onClick={() => onFix(fix)}>
                {fix.label}
              </button>
            ))}
        </p>
      ))}
    </div>
  );
}
