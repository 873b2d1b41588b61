/** Seeds: the number, a draw, and what happens to it before the next run. */
import { NumberField, type NumberProps } from "./NumberField";
import { classes, type How } from "./field";
import { Icon } from "../marks";
import { numberJson } from "./values";

export type Policy = "keep" | "next" | "random";
const POLICIES: readonly Policy[] = ["keep", "next", "random"];
const POLICY_HELP: { readonly [policy in Policy]: string } = {
  keep: "the same picture again",
  next: "seed + 1 before each run",
  random: "drawn before each run",
};

/** A seed that nobody chose, small enough to be read aloud and typed. */
export function drawnSeed(): string {
  const drawn = new Uint32Array(1);
  crypto.getRandomValues(drawn);
  return String(drawn[0] ?? 0);
}

interface SeedProps extends NumberProps {
  readonly policy: Policy;
  onPolicy(policy: Policy): void;
  /** Draws one and keeps the one before it to go back to; else it is drawn here. */
  onDraw?: (() => void) | undefined;
}

export function SeedField({ policy, onPolicy, onDraw, ...props }: SeedProps) {
  const draw = onDraw ?? (() => props.onChange(numberJson(drawnSeed(), true), { final: true } satisfies How));
  return (
    <div className={classes("seed", `seed--${props.size}`)}>
      <NumberField {...props} />
      <button type="button" className="button button--plain button--icon button--small seed__draw nodrag" aria-label={`Draw a seed for ${props.label}`} title="Draw a seed" disabled={props.readOnly} onClick={draw}>
        <Icon name="dice" />
      </button>
      {props.size === "app" ? (
        <div className="segments segments--small" role="radiogroup" aria-label={`Before a run, ${props.label}`}>
          {POLICIES.map((item) => (
            <button
              key={item}
              type="button"
              role="radio"
              className="segment"
              aria-checked={item === policy}
              tabIndex={item === policy ? 0 : -1}
              title={POLICY_HELP[item]}
              onClick={() => onPolicy(item)}
              onKeyDown={(event) => {
                const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowUp" ? 2 : 0;
                if (step === 0) return;
                event.preventDefault();
                const next = POLICIES[(POLICIES.indexOf(policy) + step) % 3] ?? "keep";
                onPolicy(next);
                event.currentTarget.parentElement?.querySelectorAll<HTMLElement>("[role=radio]")[POLICIES.indexOf(next)]?.focus();
              }}
            >
              {item}
            </button>
          ))}
        </div>
      ) : (
        <select className="seed__policy nodrag" aria-label={`Before a run, ${props.label}`} title={POLICY_HELP[policy]} value={policy} onChange={(event) => onPolicy(POLICIES.find((item) => item === event.currentTarget.value) ?? "keep")}>
          {POLICIES.map((item) => (
            <option key={item} value={item}>
              {item}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}
