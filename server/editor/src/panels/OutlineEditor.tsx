/** What opens at a row of the outline: its field, what can be linked, what can be added, a name. */
import { HelpText } from "../widgets/HelpText";
import { useEffect, useRef, useState } from "react";
import { graphOf, groups, inputOf } from "../document/graph";
import type { InputType } from "../catalogue/types";
import type { Document } from "../document/types";
import { Mark } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { planOf } from "../state/plans";
import { useWorkspace } from "../state/workspace";
import { Picker } from "../widgets/Picker";
import { Popover } from "../widgets/Popover";
import { SourcePicker } from "../widgets/LinkField";
import { problemsOf } from "../widgets/fixes";
import { sourcesFor } from "../widgets/sources";
import { Widget } from "../widgets/Widget";
import { addAfter, changeInput, definitions, groupNodes, linkInput, renameGroup, renameNode, tell } from "./acts";
import { shownInputs, type OutlineRow } from "./outlineRows";

export interface Editing {
  readonly act: "edit" | "edit-first" | "link" | "add" | "rename" | "group" | "define" | "reset";
  readonly row: OutlineRow;
  readonly anchor: HTMLElement;
}

interface EditorProps {
  readonly editing: Editing;
  readonly document: Document;
  onNext(editing: Editing): void;
  onAdded(key: string): void;
  onClose(): void;
}

/** The type of a row's input; one that the type does not know is a value of any kind. */
export function inputTypeOf(types: readonly InputType[], input: string): InputType {
  return types.find((one) => one.name === input) ?? { name: input, type: "any", required: false, help: "The node's type has no such input; it is kept as it is." };
}

export function OutlineEditor({ editing, document, onNext, onAdded, onClose }: EditorProps) {
  const { act, row, anchor } = editing;
  const catalogue = useCatalogue((state) => state.catalogue);
  const spec = graphOf(document, row.place).nodes[row.id];
  const types = (spec && catalogue?.typeOf(document, spec)?.inputs) ?? [];

  useEffect(() => {
    if (act !== "reset" || row.input === undefined) return;
    changeInput(row.place, row.id, row.input, undefined, { final: true });
    tell(`${row.input} has its default`);
    onClose();
  }, [act, row, onClose]);

  if (act === "reset") return null;
  if (act === "rename" || act === "group" || act === "define") {
    const group = row.kind === "group";
    const start = act !== "rename" ? "" : group ? (groups(document, row.place).get(row.id)?.name ?? "") : row.id;
    return (
      <NameForm
        anchor={anchor}
        label={act === "group" ? "Name of the group" : act === "define" ? "Name of the definition" : `Rename ${group ? "the group" : row.id}`}
        start={start}
        onTake={(name) => {
          if (act !== "rename") {
            const { tabs, current } = useWorkspace.getState();
            const selected = tabs.find((tab) => tab.id === current)?.selected;
            const ids = row.way.length === 0 && selected?.has(row.id) ? [...selected] : [row.id];
            if (act === "group") groupNodes(row.place, ids, name);
            else if (!definitions.make(row.place, ids, name)) return false;
          } else if (group) renameGroup(row.place, row.id, name);
          else if (!renameNode(row.place, row.id, name)) return false;
          else onAdded([...row.way, name].join("/"));
          onClose();
          return true;
        }}
        onClose={onClose}
      />
    );
  }
  if (act === "add") {
    const source = row.kind === "node" ? row.id : null;
    const offered = (catalogue?.typesFor(document, row.place) ?? []).map((type) => ({ key: type.name, label: type.name, aside: type.summary, group: type.category, mark: <Mark type={type.outputs[0]?.type ?? "Files"} /> }));
    return (
      <Picker
        anchor={anchor}
        label={source ? `Add a node after ${source}` : "Add a node"}
        options={offered}
        width={340}
        onTake={(type) => {
          const made = addAfter(row.place, source, type);
          onClose();
          if (made) {
            onAdded([...row.way, made].join("/"));
            tell(source ? `added ${made} after ${source}` : `added ${made}`);
          }
        }}
        onClose={onClose}
      />
    );
  }
  if (act === "link" && row.kind === "input" && row.input !== undefined && catalogue) {
    const input = row.input;
    return (
      <SourcePicker
        anchor={anchor}
        label={`${row.id}.${input}`}
        sources={sourcesFor(document, row.place, row.id, input, catalogue)}
        onTake={(text) => {
          linkInput(row.place, row.id, input, text);
          tell(`linked ${text} to ${row.id}.${input}`);
          onClose();
        }}
        onClose={onClose}
      />
    );
  }
  if (row.kind === "node") {
    // A node has many inputs: which one, first.
    const names = spec ? shownInputs(spec, document, catalogue) : [];
    return (
      <Picker
        anchor={anchor}
        label={act === "link" ? `Link an input of ${row.id}` : `Inputs of ${row.id}`}
        numbered
        options={names.map((name) => ({ key: name, label: name, aside: types.find((type) => type.name === name)?.type, mark: <Mark type={types.find((type) => type.name === name)?.type ?? "any"} /> }))}
        empty="This node has no inputs."
        onTake={(input) => onNext({ act: act === "link" ? "link" : "edit", row: { ...row, kind: "input", input, key: `${row.key}.${input}` }, anchor })}
        onClose={onClose}
      />
    );
  }
  if (row.input === undefined) return null;
  return <FieldForm row={row} type={inputTypeOf(types, row.input)} document={document} anchor={anchor} onClose={onClose} />;
}

function FieldForm({ row, type, document, anchor, onClose }: { row: OutlineRow; type: InputType; document: Document; anchor: HTMLElement; onClose(): void }) {
  const box = useRef<HTMLDivElement>(null);
  const input = type.name;
  const { current } = useWorkspace.getState();
  useEffect(() => {
    requestAnimationFrame(() => {
      const field = box.current?.querySelector<HTMLElement>("input:not([type=file]):not([type=color]), textarea, button, [tabindex='0']");
      field?.focus();
      if (field instanceof HTMLInputElement) field.select();
    });
  }, []);
  return (
    <Popover anchor={anchor} label={`${row.id}.${input}`} width={280} onClose={onClose}>
      <div ref={box} className="popover__body">
        <p className="small quiet">
          {row.id}.{input}
        </p>
        <Widget
          node={row.id}
          input={input}
          label={input}
          type={type}
          document={document}
          place={row.place}
          value={inputOf(document, row.place, row.id, input)}
          size="panel"
          problems={problemsOf(planOf(current ?? "").problems, [...row.way, row.id].join("/"), input)}
          onChange={(value, how) => changeInput(row.place, row.id, input, value, how)}
        />
        <p className="tiny faint"><HelpText text={type.help ?? ""} /></p>
      </div>
    </Popover>
  );
}

function NameForm({ anchor, label, start, onTake, onClose }: { anchor: HTMLElement; label: string; start: string; onTake(name: string): boolean; onClose(): void }) {
  const [name, setName] = useState(start);
  return (
    <Popover anchor={anchor} label={label} width={240} onClose={onClose}>
      <input
        autoFocus
        className="popover__search"
        aria-label={label}
        value={name}
        spellCheck={false}
        autoComplete="off"
        onFocus={(event) => event.currentTarget.select()}
        onChange={(event) => setName(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          onTake(name.trim());
        }}
      />
    </Popover>
  );
}
