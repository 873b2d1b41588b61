/** Inside a definition with nothing chosen: what it takes and gives, its defaults, and where it is used. */
import { graphOf, INPUTS, isLink, usesOf } from "../document/graph";
import { entriesOf, own } from "../document/objects";
import type { Document, Json } from "../document/types";
import { Mark } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { kindOf } from "../widgets/kinds";
import { InputRow } from "../widgets/InputRow";
import { setDefault, setDescription } from "./acts";
import { TextForm } from "./TextForm";

export function InspectDefinition({ document, name }: { document: Document; name: string }) {
  const catalogue = useCatalogue((state) => state.catalogue);
  const definition = graphOf(document, name).definition;
  if (!definition) return null;
  const type = catalogue?.typeOf(document, name);
  const uses = usesOf(document, name);
  return (
    <>
      <div className="inspect__head">
        <Mark type={type?.outputs[0]?.type ?? "Files"} />
        <h2 className="inspect__name cut">{name}</h2>
        <span className="faint small">definition</span>
      </div>
      <div className="inspect__form">
        <TextForm label="Description" lines value={definition.description ?? ""} onTake={(text) => setDescription(name, text)} />
      </div>
      <div className="inspect__inputs">
        <h3 className="section__title inspect__heading">Inputs, with their defaults</h3>
        {(type?.inputs ?? []).map((input) => {
          const value = own(definition.inputs?.[input.name] as { readonly [key: string]: Json } | undefined, "default");
          // What is not given a default stays needed; a kind that only links make has none.
          return kindOf(input).kind === "link" ? (
            <div key={input.name} className="inspect__row">
              <span />
              <span className="inspect__label quiet cut">{input.name}</span>
              <span className="row inspect__kind">
                <Mark type={input.type} />
                <span className="cut">{input.type}</span>
                <span className="faint push">needed</span>
              </span>
              <span />
            </div>
          ) : (
            <InputRow key={input.name} node={INPUTS} input={input.name} type={{ ...withoutDefault(input), required: true }} value={isLink(value) ? undefined : value} problems={[]} document={document} place={name} onChange={(next, how) => setDefault(name, input.name, next, how)} />
          );
        })}
        {(type?.inputs.length ?? 0) === 0 && <p className="inspect__summary small faint">It takes nothing.</p>}
      </div>
      <dl className="inspect__outputs small">
        {entriesOf(definition.outputs).map(([output, source]) => [
          <dt key={`${output}-name`} className="quiet cut">
            {output}
          </dt>,
          <dd key={output}>
            <Mark type={type?.outputs.find((one) => one.name === output)?.type ?? "any"} />
            <span>{source.link}</span>
          </dd>,
        ])}
      </dl>
      <p className="inspect__why small quiet">
        {uses.length === 0 ? "Nothing uses it." : `Used ${uses.length === 1 ? "once" : `${uses.length} times`}: ${uses.map((use) => (use.place === null ? use.id : `${use.id} in ${use.place}`)).join(", ")}.`} What you change here changes every use.
      </p>
    </>
  );
}

function withoutDefault<T extends { readonly default?: Json }>(input: T): Omit<T, "default"> {
  const { default: _, ...rest } = input;
  return rest;
}
