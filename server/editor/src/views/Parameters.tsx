/** The workflow's parameters as a form: the same widgets as on the cards, larger. */
import { useId } from "react";
import { inputOf } from "../document/graph";
import { valueWords } from "../document/difference";
import { entriesOf, own, sameJson } from "../document/objects";
import type { Document } from "../document/types";
import type { InputType } from "../catalogue/types";
import { useCatalogue } from "../state/catalogue";
import { useJobDocument } from "../panels/jobDocuments";
import { useRuns } from "../state/runs";
import { NO_PLAN, usePlan } from "../state/plans";
import type { Tab } from "../state/types";
import { changeInput } from "../panels/acts";
import { Widget } from "../widgets/Widget";
import { HelpText } from "../widgets/HelpText";
import { seedInputs } from "../state/seeds";

export interface ParameterField {
  readonly name: string;
  readonly node: string;
  readonly input: string;
  readonly type: InputType;
}

/** The fields of a workflow's app view: its parameters; without any, its prompts and seeds. */
export function parameterFields(document: Document): ParameterField[] {
  const catalogue = useCatalogue.getState().catalogue;
  const fields: ParameterField[] = [];
  const field = (name: string, target: string) => {
    const dot = target.indexOf(".");
    const [node, input] = [target.slice(0, dot), target.slice(dot + 1)];
    const spec = own(document.nodes, node);
    const type = spec && catalogue?.typeOf(document, spec)?.inputs.find((one) => one.name === input);
    if (type) fields.push({ name, node, input, type });
  };
  for (const [name, parameter] of entriesOf(document.parameters ?? {})) field(name, parameter.input);
  if (fields.length > 0) return fields;
  for (const [id, spec] of entriesOf(document.nodes)) {
    if (spec.type === "encode_prompt") field(`${id}.text`, `${id}.text`);
  }
  for (const target of seedInputs(document)) field(target, target);
  return fields;
}

export function ParameterForm({ tab, phone }: { readonly tab: Tab; readonly phone?: boolean }) {
  const last = useRuns((state) => state.ofTab.get(tab.id)?.find((id) => state.jobs.get(id)?.job.state === "done"));
  const ran = useJobDocument(last);
  useCatalogue((state) => state.catalogue);
  const document = tab.history.document;
  const fields = parameterFields(document);
  return (
    <>
      {fields.map((field) => (
        <Field key={field.name} tab={tab} field={field} phone={phone === true} was={wasThen(ran, document, field)} />
      ))}
      {fields.length === 0 && (
        <p className="quiet">
          This workflow has no parameters yet. Give inputs a name in the inspector of the graph: choose no node, and add a parameter.
        </p>
      )}
    </>
  );
}

/** The value that a field had in the last run, where it is another now; short ones only: a prompt would be no hint. */
export function wasThen(then: Document | null | undefined, now: Document, { node, input, type }: ParameterField): string | null {
  if (!then || !own(then.nodes, node)) return null;
  const before = inputOf(then, null, node, input) ?? type.default;
  const after = inputOf(now, null, node, input) ?? type.default;
  if (before === undefined || sameJson(before, after ?? null)) return null;
  const words = valueWords(before);
  return words.length > 24 ? null : words;
}

function Field({ tab, field, phone, was }: { readonly tab: Tab; readonly field: ParameterField; readonly phone: boolean; readonly was: string | null }) {
  const { name, node, input, type } = field;
  const id = useId();
  const document = tab.history.document;
  const problems = usePlan((state) => state.ofTab.get(tab.id) ?? NO_PLAN).problems.filter((problem) => problem.node === node && problem.input === input);
  return (
    <div className={phone ? "pfield" : "parameter"}>
      <div className="row parameter__head">
        <label className="medium" htmlFor={id}>
          {name}
        </label>
        {was !== null && (
          <span className="parameter__was small faint">
            <span className="sr-only">in the last run </span>
            <s>{was}</s>
          </span>
        )}
        {name !== `${node}.${input}` && !phone && (
          <span className="push faint tiny code">
            {node}.{input}
          </span>
        )}
      </div>
      <Widget
        id={id}
        node={node}
        input={input}
        type={type}
        label={name}
        value={inputOf(document, null, node, input)}
        size="app"
        problems={problems}
        document={document}
        place={null}
        describedBy={`${id}-help`}
        onChange={(value, how) => void changeInput(null, node, input, value, how)}
      />
      {!phone && type.help && (
        <p id={`${id}-help`} className="small quiet parameter__help">
          <HelpText text={type.help.split(". ")[0] ?? ""} />
        </p>
      )}
      {(phone || !type.help) && <span id={`${id}-help`} className="sr-only">{type.help}</span>}
    </div>
  );
}
