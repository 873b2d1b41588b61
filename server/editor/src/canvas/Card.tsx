import { memo, type ReactNode } from "react";
import type { Face } from "../state/types";
import { CardFoot } from "./CardFoot";
import { CardRow, FoldedPorts } from "./CardRow";
import type { CardModel, FieldModel, ProblemModel } from "./model";
import { Icon, Mark } from "./parts";
import { RenameField } from "./RenameField";
import { WidthGrip } from "./WidthGrip";

export interface CardProps {
  readonly model: CardModel;
  readonly face: Face;
  readonly problems: readonly ProblemModel[];
  readonly chosen: boolean;
  /** Keys are here; `byKeys` when they came by keys and not by a click. */
  readonly onFocus?: (byKeys: boolean) => void;
  /** While a wire is dragged: the ports that fit, or null when none is dragged. */
  readonly fitting: ReadonlySet<string> | null;
  readonly renaming?: boolean;
  readonly renderField: (field: FieldModel) => ReactNode;
  readonly onEnter?: () => void;
  readonly onRename?: (name: string) => string | null;
  readonly onRenameEnd?: () => void;
  readonly onStartRename?: () => void;
  readonly onTag?: (node: string) => void;
  readonly onWidth?: (width: number) => void;
  readonly onLink?: (name: "Log" | "Retry" | "Replace" | "Open") => void;
  /** Whether the picture is pinned, to be compared with the next run's. */
  readonly pinned?: boolean;
  readonly onPin?: () => void;
}

/** A node. Everything it shows comes in; the sizes are those of layout/. */
export const Card = memo(function Card(props: CardProps) {
  const { model, face, problems, fitting } = props;
  const fits = fitting === null ? null : fitting.size > 0;
  const classes = ["card", "card--in-flow"];
  if (props.chosen) classes.push("card--chosen");
  if (fits === true) classes.push("card--target");
  if (fits === false) classes.push("card--dim");
  if (model.collapsed) classes.push("card--collapsed");
  if (model.collapsed) return <FoldedCard {...props} classes={classes} />;
  return (
    <article
      className={classes.join(" ")}
      data-state={face.state}
      data-card={model.id}
      tabIndex={0}
      aria-label={cardName(model, face)}
      style={{ width: model.width, minHeight: model.height }}
      onFocus={(event) => props.onFocus?.(event.target === event.currentTarget && event.currentTarget.matches(":focus-visible"))}
    >
      <header className="card__head">
        <Mark type={model.makes} />
        {props.renaming === true ? (
          <RenameField name={model.id} label="Name of the node" onTake={props.onRename ?? (() => null)} onEnd={props.onRenameEnd ?? (() => undefined)} />
        ) : (
          <span className="card__name cut" onDoubleClick={(event) => { event.stopPropagation(); props.onStartRename?.(); }}>{model.id}</span>
        )}
        {model.type !== model.id && props.renaming !== true && <span className="card__type">{model.type}</span>}
        {model.definition && (
          <button type="button" tabIndex={-1} className="reset card__enter nodrag" aria-label={`Open ${model.id}`} onClick={props.onEnter}>
            <Icon name="enter" small />
          </button>
        )}
      </header>
      <div className="card__body">
        {model.rows.map((row) => (
          <CardRow key={`${row.port?.handle ?? ""}>${row.out?.name ?? ""}`} row={row} node={model.id} fitting={fitting} bypassed={model.bypassed} onTag={props.onTag} />
        ))}
        {model.fields.map((field) => (
          <div key={field.name} className="card__field" style={{ height: field.height }}>{props.renderField(field)}</div>
        ))}
        {face.items !== undefined && <Items done={face.items.done} of={face.items.of} running={face.state === "running"} />}
        <Messages face={face} problems={problems} />
        {model.rest !== "" && <div className="card__rest" title={model.rest}>{model.rest}</div>}
        {model.picture > 0 && face.picture !== undefined && (
          <div className="card__picture picture" style={{ height: model.picture }}>
            <img src={face.picture.source} alt={`${model.id}: ${face.picture.corner}`} draggable={false} />
            {face.picture.corner !== "" && <span className="steps">{face.picture.corner}</span>}
            {props.onPin !== undefined && (
              <button type="button" tabIndex={-1} className="card__pin nodrag" aria-pressed={props.pinned === true} aria-label={`${props.pinned === true ? "Unpin" : "Pin"} the picture of ${model.id}`} title={props.pinned === true ? "Unpin" : "Pin: the next run is compared with it"} onClick={props.onPin}>
                <Icon name="pin" small />
              </button>
            )}
          </div>
        )}
      </div>
      <CardFoot id={model.id} face={face} inside={model.inside} fitting={fitting} onLink={props.onLink} />
      {props.onWidth !== undefined && <WidthGrip width={model.width} onWidth={props.onWidth} />}
    </article>
  );
});

/** What a screen reader says: "denoise, step 14 of 25". */
export function cardName(model: CardModel, face: Face): string {
  const type = model.type === model.id ? "" : `, ${model.type}`;
  return `${model.id}${type}, ${face.words}${face.aside === "" ? "" : `, ${face.aside}`}`;
}

/** A collapsed card: its head, with all ports in its middle and the state as an icon. */
function FoldedCard(props: CardProps & { readonly classes: readonly string[] }): ReactNode {
  const { model, face, fitting } = props;
  const [row] = model.rows;
  return (
    <article className={props.classes.join(" ")} data-state={face.state} data-card={model.id} tabIndex={0} aria-label={`${cardName(model, face)}, collapsed`} style={{ width: model.width, minHeight: model.height }} onFocus={(event) => props.onFocus?.(event.target === event.currentTarget && event.currentTarget.matches(":focus-visible"))}>
      <header className="card__head">
        <Mark type={model.makes} />
        <span className="card__name cut" onDoubleClick={(event) => { event.stopPropagation(); props.onStartRename?.(); }}>{model.id}</span>
        <span className="card__type">{model.type === model.id ? "" : model.type}</span>
        <span className="card__state" title={face.words}><Icon name={face.icon} small spin={face.turns === true} /></span>
      </header>
      {row !== undefined && <FoldedPorts ins={[...(row.port === null ? [] : [row.port]), ...model.folded]} outs={[...(row.out === null ? [] : [row.out]), ...model.foldedOut]} node={model.id} fitting={fitting} />}
    </article>
  );
}

/** As much of a message as the four lines hold that the layout keeps free for it. */
const LONG = 96;

function shortened(message: string): string {
  return message.length > LONG ? `${message.slice(0, LONG).replace(/\W*\w*$/, "")}…` : message;
}

/** The whole sentence is at the field, in the inspector and in the list of problems. */
function Messages({ face, problems }: { readonly face: Face; readonly problems: readonly ProblemModel[] }): ReactNode {
  if (problems.length === 0) return face.message === undefined ? null : <div className="card__message" title={face.message.length > LONG ? face.message : undefined}>{shortened(face.message)}</div>;
  return problems.slice(0, 3).map(({ problem, fixes }, at) => (
    <div className={problem.severity === "warning" ? "card__message card__message--warn" : "card__message"} key={at} id={`problem-${problem.node ?? ""}-${problem.input ?? ""}`}>
      <span title={problem.message.length > LONG ? problem.message : undefined}>{shortened(problem.message)}</span>
      {fixes.map((fix) => (
        <span key={fix.label}> <button type="button" tabIndex={-1} className="link nodrag" onClick={fix.run}>{fix.label}</button></span>
      ))}
    </div>
  ));
}

/** A cell per item, up to 40; more are told by the words of the foot alone. */
function Items({ done, of, running }: { readonly done: number; readonly of: number; readonly running: boolean }): ReactNode {
  if (of > 40 || of < 1) return null;
  return (
    <div className="items" aria-hidden="true">
      {Array.from({ length: of }, (_, at) => <i key={at} className={at < done ? "d" : at === done && running ? "n" : ""} />)}
    </div>
  );
}
