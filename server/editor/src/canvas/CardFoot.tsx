import { memo } from "react";
import type { Face } from "../state/types";
import { Icon } from "./parts";

interface FootProps {
  readonly id: string;
  readonly face: Face;
  /** What a definition's card says at the right while nothing else stands there. */
  readonly inside: string;
  readonly fitting: ReadonlySet<string> | null;
  readonly onLink: ((name: "Log" | "Retry" | "Replace" | "Open") => void) | undefined;
}

/** Icon, state in words, at the right time or links; the bar on its upper edge. */
export const CardFoot = memo(function CardFoot({ id, face, inside, fitting, onLink }: FootProps) {
  const first = fitting === null ? undefined : [...fitting][0];
  if (first !== undefined) {
    return (
      <footer className="card__foot card__foot--fits">
        <Icon name="check" small />
        <span className="cut">{`${first.replace(/^>/, "").replace(/\.\d+$/, "")} fits`}</span>
      </footer>
    );
  }
  const aside = face.aside === "" ? inside : face.aside;
  return (
    <footer className="card__foot" title={face.tip}>
      {face.bar !== undefined && (
        <div className="progress" role="progressbar" aria-label={id} aria-valuenow={Math.round(face.bar * 100)} aria-valuemin={0} aria-valuemax={100}>
          <div className="progress__bar" style={{ "--at": `${face.bar * 100}%` }} />
        </div>
      )}
      <Icon name={face.icon} small spin={face.turns === true} />
      <span className="cut">{face.words}</span>
      {face.links === undefined || face.links.length === 0 ? (
        aside !== "" && <span className="push">{aside}</span>
      ) : (
        <span className="push">
          {face.links.map((name) => (
            <button key={name} type="button" tabIndex={-1} className="link tiny nodrag card__link" onClick={() => onLink?.(name)}>{name}</button>
          ))}
        </span>
      )}
    </footer>
  );
});
