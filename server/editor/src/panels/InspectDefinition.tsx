/** Inside a definition with nothing chosen: what it takes and gives, its defaults, and where it is used. */
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { Catalogue } from "../catalogue/catalogue";
import { graphOf, INPUTS, inputsOf, isLink, usesOf } from "../document/graph";
import { entriesOf, own } from "../document/objects";
import type { Document, Json } from "../document/types";
import { Icon, Mark } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { useWorkspace } from "../state/workspace";
import { kindOf } from "../widgets/kinds";
import { Picker, type Option } from "../widgets/Picker";
import { linked } from "../widgets/values";
import { Widget } from "../widgets/Widget";
import { definitions, setDefault } from "./acts";
import { TextForm } from "./TextForm";

type Kind = "input" | "output";

export function InspectDefinition({ document, name }: { document: Document; name: string }) {
  const catalogue = useCatalogue((state) => state.catalogue);
  const definition = graphOf(document, name).definition;
  const [adding, setAdding] = useState<{ kind: Kind; anchor: HTMLElement } | null>(null);
  const options = useMemo(() => (adding && catalogue ? exposable(document, name, adding.kind, catalogue) : []), [adding, catalogue, document, name]);
  if (!definition) return null;
  const type = catalogue?.typeOf(document, name);
  const uses = usesOf(document, name);
  const here = uses.filter((use) => use.place === null);
  const add = (kind: Kind) => (
    <p className="inspect__summary">
      <button type="button" className="button button--small" aria-haspopup="dialog" onClick={(event) => setAdding({ kind, anchor: event.currentTarget })}>
        <Icon name="plus" small /> {kind === "input" ? "Input" : "Output"}
      </button>
    </p>
  );
  return (
    <>
      <div className="inspect__head">
        <Mark type={type?.outputs[0]?.type ?? "Files"} />
        <h2 className="inspect__name cut">{name}</h2>
        <span className="faint small">definition</span>
      </div>
      <div className="inspect__form">
        <TextForm label="Description" lines value={definition.description ?? ""} onTake={(text) => definitions.describe(name, text)} />
      </div>
      <div className="inspect__inputs">
        <h3 className="section__title inspect__heading">Inputs, with their defaults</h3>
        {(type?.inputs ?? []).map((input) => {
          const value = own(definition.inputs?.[input.name] as { readonly [key: string]: Json } | undefined, "default");
          const { default: _, ...bare } = input;
          return (
            <Exposed key={input.name} definition={name} kind="input" name={input.name}>
              {kindOf(input).kind === "link" ? (
                <span className="row inspect__kind">
                  <Mark type={input.type} />
                  <span className="cut">{input.type}</span>
                  <span className="faint push">needed</span>
                </span>
              ) : (
                <Widget node={INPUTS} input={input.name} type={{ ...bare, required: true }} label={`Default of ${input.name}`} value={isLink(value) ? undefined : value} size="panel" problems={[]} document={document} place={name} onChange={(next, how) => setDefault(name, input.name, next, how)} />
              )}
            </Exposed>
          );
        })}
        {(type?.inputs.length ?? 0) === 0 && <p className="inspect__summary small faint">It takes nothing.</p>}
        {add("input")}
        <h3 className="section__title inspect__heading">Outputs</h3>
        {entriesOf(definition.outputs).map(([output, source]) => (
          <Exposed key={output} definition={name} kind="output" name={output}>
            <span className="row inspect__kind">
              <Mark type={type?.outputs.find((one) => one.name === output)?.type ?? "any"} />
              <span className="cut">{source.link}</span>
            </span>
          </Exposed>
        ))}
        {add("output")}
      </div>
      <div className="inspect__why small quiet">
        <p>
          {uses.length === 0 ? "Nothing uses it." : `Used ${uses.length === 1 ? "once" : `${uses.length} times`}: ${uses.map((use) => (use.place === null ? use.id : `${use.id} in ${use.place}`)).join(", ")}.`} What you change here changes every use.
        </p>
        {here.map((use) => (
          <button
            key={use.id}
            type="button"
            className="button inspect__wide"
            onClick={() => {
              useWorkspace.getState().leave(0);
              definitions.unpack(null, use.id);
            }}
          >
            <Icon name="enter" /> Unpack {here.length > 1 ? use.id : "into the graph"}
          </button>
        ))}
      </div>
      {adding && (
        <Picker
          anchor={adding.anchor}
          label={adding.kind === "input" ? "Which input inside is set from outside" : "Which output inside is given"}
          options={options}
          empty="There is nothing left to give a name outside."
          width={300}
          onTake={(target) => {
            adding.anchor.focus();
            setAdding(null);
            definitions.expose(name, adding.kind, target);
          }}
          onClose={(back) => {
            if (back) adding.anchor.focus();
            setAdding(null);
          }}
        />
      )}
    </>
  );
}

/** What inside could be set or taken from outside: inputs without a link, and every output that is not given yet. */
export function exposable(document: Document, name: string, kind: Kind, catalogue: Catalogue): Option[] {
  const { nodes, definition } = graphOf(document, name);
  const given = new Set(entriesOf(definition?.outputs).map(([, output]) => output.link));
  const options: Option[] = [];
  for (const [id, spec] of entriesOf(nodes)) {
    const type = catalogue.typeOf(document, spec);
    for (const one of (kind === "input" ? type?.inputs : type?.outputs) ?? []) {
      const target = `${id}.${one.name}`;
      if (kind === "input" ? linked(own(inputsOf(spec), one.name)) : given.has(target)) continue;
      options.push({ key: target, label: target, aside: one.type.length < 18 ? one.type : "", mark: <Mark type={one.type} /> });
    }
  }
  return options;
}

function Exposed({ definition, kind, name, children }: { definition: string; kind: Kind; name: string; children: ReactNode }) {
  const [text, setText] = useState(name);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => setText(name), [name]);
  const take = () => {
    if (text !== name && !definitions.rename(definition, kind, name, text.trim())) setText(name);
  };
  return (
    <div className="inspect__row">
      <span />
      <input
        ref={field}
        className="inspect__exposed"
        aria-label={`Name of the ${kind} ${name}`}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          else if (event.key === "Escape") {
            event.stopPropagation();
            setText(name);
          }
        }}
      />
      {children}
      <button type="button" className="reset" aria-label={`Remove the ${kind} ${name}`} onClick={() => definitions.remove(definition, kind, name)}>
        <Icon name="close" small />
      </button>
    </div>
  );
}
