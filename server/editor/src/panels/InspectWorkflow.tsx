/** Nothing chosen: the workflow's title, description and parameters. */
import { useEffect, useMemo, useRef, useState } from "react";
import type { Catalogue } from "../catalogue/catalogue";
import { canPin } from "../catalogue/pins";
import { graphOf, inputOf, linkParts, nodeOf } from "../document/graph";
import { entriesOf, keysOf, own } from "../document/objects";
import type { Document } from "../document/types";
import { Icon } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { useWorkspace } from "../state/workspace";
import type { Tab } from "../state/types";
import { Picker, type Option } from "../widgets/Picker";
import { freeName, parameters } from "./acts";
import { TextForm } from "./TextForm";

export function InspectWorkflow({ tab, document }: { tab: Tab; document: Document }) {
  const catalogue = useCatalogue((state) => state.catalogue);
  const title = own(document.meta, "title");
  const description = own(document.meta, "description");
  const names = keysOf(document.parameters);
  const add = useRef<HTMLButtonElement>(null);
  const [adding, setAdding] = useState(false);
  const options = useMemo(() => (adding && catalogue ? parameterOptions(document, catalogue) : []), [adding, document, catalogue]);
  return (
    <>
      <div className="inspect__head">
        <h2 className="inspect__name cut">{tab.title}</h2>
        <span className="faint small">{keysOf(document.nodes).length === 1 ? "1 node" : `${keysOf(document.nodes).length} nodes`}</span>
      </div>
      <div className="inspect__form">
        <TextForm label="Title" value={typeof title === "string" ? title : ""} onTake={(text) => parameters.meta(text, undefined)} />
        <TextForm label="Description" lines value={typeof description === "string" ? description : ""} onTake={(text) => parameters.meta(undefined, text)} />
      </div>
      <div className="inspect__inputs">
        <h3 className="section__title inspect__heading">Parameters</h3>
        {names.length === 0 && <p className="inspect__summary small faint">None yet. A parameter is what a caller and the app view can set.</p>}
        <ul>
          {entriesOf(document.parameters).map(([name, parameter], index) => (
            <Parameter key={name} name={name} target={parameter.input} at={index} names={names} missing={!isThere(document, parameter.input)} />
          ))}
        </ul>
        <p className="inspect__summary">
          <button ref={add} type="button" className="button button--small" aria-haspopup="dialog" aria-expanded={adding} onClick={() => setAdding(true)}>
            <Icon name="plus" small /> Parameter
          </button>
        </p>
      </div>
      {adding && (
        <Picker
          anchor={add.current}
          label="Which input becomes a parameter"
          options={options}
          empty="No input is left that takes a value."
          width={300}
          onTake={(target) => {
            setAdding(false);
            add.current?.focus();
            parameters.set(freeName(names, target), target);
          }}
          onClose={(back) => {
            setAdding(false);
            if (back) add.current?.focus();
          }}
        />
      )}
    </>
  );
}

function isThere(document: Document, target: string): boolean {
  return nodeOf(document, null, linkParts(target).node) !== undefined;
}

/** The inputs that could become parameters: those that take a value and are none yet. */
export function parameterOptions(document: Document, catalogue: Catalogue): Option[] {
  const taken = new Set(entriesOf(document.parameters).map(([, parameter]) => parameter.input));
  const options: Option[] = [];
  for (const [id, spec] of entriesOf(graphOf(document, null).nodes)) {
    for (const input of catalogue.typeOf(document, spec)?.inputs ?? []) {
      const target = `${id}.${input.name}`;
      if (canPin(input) && !taken.has(target)) options.push({ key: target, label: target, aside: input.type.length < 18 ? input.type : "", group: inputOf(document, null, id, input.name) === undefined ? "" : "set here" });
    }
  }
  return options.sort((a, b) => (b.group ?? "").localeCompare(a.group ?? ""));
}

function Parameter({ name, target, at, names, missing }: { name: string; target: string; at: number; names: readonly string[]; missing: boolean }) {
  const [text, setText] = useState(name);
  useEffect(() => setText(name), [name]);
  const take = () => {
    if (text !== name && !parameters.rename(name, text.trim())) setText(name);
  };
  return (
    <li className="inspect__parameter">
      <input
        className="field"
        aria-label={`Name of the parameter ${name}`}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          else if (event.key === "Escape") setText(name);
          else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
            event.preventDefault();
            parameters.move(names, at, at + (event.key === "ArrowUp" ? -1 : 1));
          }
        }}
      />
      <button type="button" className="link cut code" disabled={missing} title={missing ? "This input is not there any more." : `Go to ${target}`} onClick={() => useWorkspace.getState().select([linkParts(target).node], linkParts(target).node)}>
        <span className={missing ? "failed" : undefined}>{target}</span>
      </button>
      <span className="row">
        <button type="button" className="reset" aria-label={`Move ${name} up`} disabled={at === 0} onClick={() => parameters.move(names, at, at - 1)}>
          <Icon name="up" small />
        </button>
        <button type="button" className="reset" aria-label={`Move ${name} down`} disabled={at === names.length - 1} onClick={() => parameters.move(names, at, at + 1)}>
          <Icon name="down" small />
        </button>
        <button type="button" className="reset" aria-label={`Remove the parameter ${name}`} onClick={() => parameters.remove(name)}>
          <Icon name="close" small />
        </button>
      </span>
    </li>
  );
}
