/** All that is known of a node type: what it is for, its inputs with ranges and defaults, its outputs. */
import type { InputType, NodeType } from "../catalogue/types";
import { Mark } from "../marks";
import { factsOf } from "../widgets/InputRow";

export function NodeHelp({ type }: { readonly type: NodeType }) {
  const more = type.help?.trim() === type.summary.trim() ? "" : type.help;
  return (
    <div className="help" tabIndex={0} role="group" aria-label={`Help of ${type.name}`}>
      <p>{type.summary}</p>
      {more && <p className="quiet help__text">{more}</p>}
      {type.inputs.length > 0 && <h3 className="section__title">Inputs</h3>}
      <dl className="help__list">{type.inputs.map((input) => <HelpRow key={input.name} name={input.name} type={input.type} facts={facts(input)} help={input.help ?? ""} />)}</dl>
      {type.outputs.length > 0 && <h3 className="section__title">Outputs</h3>}
      <dl className="help__list">{type.outputs.map((output) => <HelpRow key={output.name} name={output.name} type={output.type} facts="" help="" />)}</dl>
    </div>
  );
}

/** Range and default; the keys of a field mean nothing here. */
function facts(input: InputType): string {
  return factsOf(input).filter((fact) => !/[↑⏎]|Ctrl/.test(fact)).join(" · ");
}

function HelpRow({ name, type, facts: said, help }: { readonly name: string; readonly type: string; readonly facts: string; readonly help: string }) {
  return (
    <div className="help__row">
      <dt className="row"><Mark type={type} /><span className="medium">{name}</span></dt>
      <dd>
        <span className="code small quiet">{type}</span>
        {said !== "" && <span className="small quiet"> · {said}</span>}
        {help !== "" && <span className="help__words">{help}</span>}
      </dd>
    </div>
  );
}
