/** Help of a node type, and the log of a node that failed. */
import { Markdown } from "../canvas/markdown";
import { Icon, Mark } from "../marks";
import type { InputType, NodeType } from "../catalogue/types";
import { useCatalogue } from "../state/catalogue";
import { retry } from "../state/actions";
import { useRuns } from "../state/runs";
import { tabOf } from "../state/workspace";
import { factsOf } from "../widgets/InputRow";
import { closeDialog, openDialog } from "./Dialog";
import type { HelpOf } from "./requests";
import { copyText } from "./TextView";

function typeNamed(name: string): NodeType | undefined {
  const { catalogue } = useCatalogue.getState();
  const tab = tabOf();
  return catalogue?.get(name) ?? (tab && catalogue?.typeOf(tab.history.document, { type: name }));
}

export function openHelp({ type, input }: HelpOf): void {
  const found = typeNamed(type);
  openDialog({ title: type, wide: true, body: () => (found ? <Help type={found} input={input} /> : <p className="quiet">{`No installed pack has the node ${type}: its inputs and wires are kept as they are.`}</p>) });
}

function Help({ type, input }: { readonly type: NodeType; readonly input: string | undefined }) {
  return (
    <div className="help" tabIndex={0} role="region" aria-label={`Help of ${type.name}`}>
      <div className="help__text">
        <Markdown text={paragraphs(type.help || type.summary)} />
        <p className="faint small">
          {type.category}, version {type.version}
        </p>
      </div>
      <Inputs type={type} input={input} />
      <section>
        <h3 className="section__title">Outputs</h3>
        <ul>
          {type.outputs.map((output) => (
            <li key={output.name} className="help__item">
              <span className="row help__name">
                <Mark type={output.type} />
                <b className="medium">{output.name}</b>
                <span className="faint small code">{output.type}</span>
              </span>
            </li>
          ))}
          {type.outputs.length === 0 && <li className="quiet small">none: it ends here</li>}
        </ul>
      </section>
    </div>
  );
}

function Inputs({ type, input }: { readonly type: NodeType; readonly input: string | undefined }) {
  return (
    <section>
      <h3 className="section__title">Inputs</h3>
      <ul>
        {type.inputs.map((one) => (
          <li
            key={one.name}
            className={`help__item${one.name === input ? " help__item--asked" : ""}`}
            aria-current={one.name === input || undefined}
            ref={(element) => {
              if (one.name === input) element?.scrollIntoView?.({ block: "center" });
            }}
          >
            <span className="row help__name">
              <Mark type={one.type} />
              <b className="medium">{one.name}</b>
              <span className="faint small code cut">{shortType(one)}</span>
            </span>
            {one.help && <Markdown text={paragraphs(one.help)} />}
            <span className="faint small">{factsOf(one).filter((fact) => !/[↑⏎]|Ctrl/.test(fact)).join(" · ")}</span>
          </li>
        ))}
        {type.inputs.length === 0 && <li className="quiet small">none: it begins here</li>}
      </ul>
    </section>
  );
}

const shortType = (input: InputType): string => (input.choices ? input.choices.map(String).join(", ") : input.type);

/** Lines of a docstring as paragraphs: a single line break is a space. */
export function paragraphs(text: string): string {
  return text
    .split(/\n\s*\n/)
    .map((part) => (/^\s*[-*] /m.test(part) ? part : part.replace(/\s*\n\s*/g, " ")))
    .join("\n\n");
}

/** What a failed node said, whole, to be copied. */
export function openLog({ job, node, text }: { readonly job: string; readonly node: string; readonly text: string }): void {
  const info = useRuns.getState().jobs.get(job);
  const title = `${node || "The run"} failed${info ? ` in run ${info.number}` : ""}`;
  openDialog({ title, wide: true, body: () => <Log job={job} text={text} /> });
}

function Log({ job, text }: { readonly job: string; readonly text: string }) {
  return (
    <div className="textview">
      <pre className="field textview__text code" tabIndex={0} role="region" aria-label="Log">
        {text || "It said nothing."}
      </pre>
      <div className="row textview__head">
        <button type="button" className="button button--small push" onClick={() => void copyText(text, "The log")}>
          <Icon name="copy" small />
          Copy
        </button>
        <button type="button" className="button button--small" onClick={() => (closeDialog(), void retry(job))}>
          <Icon name="reset" small />
          Retry
        </button>
      </div>
    </div>
  );
}
