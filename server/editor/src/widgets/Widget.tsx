/** The field of one input: a link, a literal of its kind, or a list of both. The same on cards, in the inspector and in the app view. */
import { useCallback, useId, useMemo, useRef, useState } from "react";
import type { InputType } from "../catalogue/types";
import { renameInput } from "../document/edits";
import { inputsOf, isLink, linkParts, nodeOf, writtenLiteral } from "../document/graph";
import { has, isList, sameJson } from "../document/objects";
import { type Document, isRefusal, type Json, type Place } from "../document/types";
import type { Problem } from "../service/types";
import { useCatalogue } from "../state/catalogue";
import { placeOf, tabOf, useWorkspace } from "../state/workspace";
import type { Changed, FieldProps, How, Size } from "./field";
import { classes } from "./field";
import type { Fix } from "./fixes";
import { kindOf, takesLiteral, type Kind } from "./kinds";
import { LinkedField, ListField, OpenLink, SourcePicker } from "./laterFields";
import { Literal } from "./Literal";
import { ModelPicker, modelOptions } from "./ModelField";
import { FieldProblems } from "./Problems";
import { Popover } from "./popups";
import { sourcesFor, withLink } from "./sources";
import { linked, meant, valueWords } from "./values";

export interface WidgetProps {
  readonly node: string;
  readonly input: string;
  readonly type: InputType;
  /** As the document has it, links and all; undefined: the default stands. */
  readonly value: Json | undefined;
  readonly size: Size;
  readonly problems: readonly Problem[];
  /** `undefined` takes the value away, so that the default stands. */
  onChange(value: Json | undefined, how: How): void;
  /** Absent: those of the tab that is shown. */
  readonly document?: Document | undefined;
  readonly place?: Place | undefined;
  /** What the field is called; absent: the input's name. */
  readonly label?: string | undefined;
  /** The value of the last run, when it was another. */
  readonly was?: Json | undefined;
  readonly describedBy?: string | undefined;
  readonly readOnly?: boolean | undefined;
  /** Of the element that a label names. */
  readonly id?: string | undefined;
}

/** The document and place that a widget stands in, read when they are needed and not before: a field must not wait for them. */
export function whereIs(props: Pick<WidgetProps, "document" | "place">): { document: Document; place: Place } | null {
  if (props.document) return { document: props.document, place: props.place ?? null };
  const tab = tabOf();
  return tab ? { document: tab.history.document, place: placeOf(tab) } : null;
}

export function Widget(props: WidgetProps) {
  const { node, input, type, value, size, onChange } = props;
  const made = useId();
  const id = props.id ?? made;
  const label = props.label ?? input;
  const catalogue = useCatalogue((state) => state.catalogue);
  const where = whereIs(props);
  const spec = where && nodeOf(where.document, where.place, node);
  const nodeType = spec?.type ?? "";
  const kind = useMemo(() => kindOf(type, nodeType), [type, nodeType]);
  const [picker, setPicker] = useState<{ anchor: HTMLElement; index: number | undefined } | null>(null);
  const [models, setModels] = useState<HTMLElement | null>(null);
  const box = useRef<HTMLDivElement>(null);

  const put = useCallback(
    (next: Json | undefined, how: How) => onChange(next === undefined ? undefined : writtenLiteral(next), how),
    [onChange],
  );
  const link = (index?: number) => (anchor: HTMLElement) => setPicker({ anchor, index });
  const go = (text: string) => () => useWorkspace.getState().select([linkParts(text).node], linkParts(text).node);
  const sourceType = (text: string) => (where ? catalogue?.output(where.document, where.place, linkParts(text))?.type : undefined);
  const invalid = props.problems.some((problem) => problem.severity === "error");
  const problemId = props.problems.length > 0 ? `${id}-problems` : undefined;
  const changed: Changed = props.was !== undefined ? "now" : value !== undefined && !sameJson(value, type.default) ? "own" : "no";

  const field: FieldProps = {
    id,
    label,
    value: meant(value),
    fallback: type.default,
    was: props.was,
    size,
    changed,
    invalid,
    describedBy: classes(problemId, props.describedBy) || undefined,
    readOnly: props.readOnly,
    onChange: put,
    onLink: () => setPicker({ anchor: document.getElementById(id) ?? box.current ?? document.body, index: undefined }),
  };

  const onFix = (fix: Fix) => {
    if (fix.act === "set") onChange(fix.value, { final: true });
    else if (fix.act === "unlink" && isList(value)) {
      // Of a list only the thread that does not fit goes.
      const kept = value.filter((item) => !(isLink(item) && props.problems.some(({ given }) => (isLink(given) ? given.link : given) === item.link)));
      onChange(kept.length < value.length ? kept : undefined, { final: true });
    } else if (fix.act === "unlink" || fix.act === "remove" || fix.act === "reset") onChange(undefined, { final: true });
    else if (fix.act === "rename" && where) {
      const attempt = renameInput(where.document, where.place, node, input, fix.to);
      if (!isRefusal(attempt)) useWorkspace.getState().edit(attempt);
    } else if (fix.act === "link") field.onLink?.();
    else if (fix.act === "choose-file") document.getElementById(id)?.click();
  };

  const linkRow = (text: string, rowId: string, index?: number) => (
    <LinkedField
      id={rowId}
      label={label}
      text={text}
      type={sourceType(text)}
      fault={index === undefined ? linkFault(props.problems) : undefined}
      aside={index === 0 && type.name === "guidance" ? "base" : undefined}
      size={size}
      describedBy={field.describedBy}
      onGo={go(text)}
      onRelink={props.readOnly ? undefined : link(index)}
      onUnlink={() => onChange(index === undefined ? undefined : isList(value) ? value.filter((_, at) => at !== index) : undefined, { final: true })}
    />
  );

  let body;
  if (isLink(value)) body = linkRow(value.link, id);
  else if (kind.kind === "list") {
    const list = (
      <ListField
        {...field}
        value={value === undefined ? undefined : value}
        size={size === "card" ? "panel" : size}
        onChange={onChange}
        fresh={takesLiteral(kind) ? kind.fresh : undefined}
        noun={kind.noun}
        item={(item, index, change, itemId) => <Literal kind={kind.item} node={node} nodeType={nodeType} input={input} {...where} field={{ ...field, id: itemId, label: `${label} ${index + 1}`, value: meant(item), fallback: undefined, was: undefined, size: "panel", changed: "own", onChange: (next) => change(next === undefined ? (kind.fresh ?? null) : next === null ? null : (writtenLiteral(next) as Json)) }} />}
        link={(item, index, itemId) => (isLink(item) ? linkRow(item.link, itemId, index) : null)}
        onAddLink={link(undefined)}
        onAddOther={kind.item.kind === "model" ? (anchor) => setModels(anchor) : undefined}
      />
    );
    body = size === "card" ? <Folded field={field} words={value === undefined && type.default === undefined ? "needed" : valueWords(value ?? type.default)}>{list}</Folded> : list;
  } else if (kind.kind === "link") {
    body = <OpenLink id={id} label={label} size={size} invalid={invalid} describedBy={field.describedBy} words={openWords(type)} onOpen={link(undefined)} />;
  } else if (size === "card" && folds(kind)) {
    body = (
      <Folded field={field} words={value === undefined && type.default === undefined ? "needed" : valueWords(value ?? type.default)}>
        <Literal kind={kind} node={node} nodeType={nodeType} input={input} {...where} field={{ ...field, size: "panel", id: `${id}-in` }} />
      </Folded>
    );
  } else body = <Literal kind={kind} node={node} nodeType={nodeType} input={input} {...where} field={field} />;

  return (
    <div ref={box} className={classes("widget", `widget--${size}`)} data-node={node} data-input={input}>
      {body}
      <FieldProblems id={problemId ?? ""} problems={props.problems} input={type} value={value} quiet={size === "card"} set={(name) => Boolean(spec) && has(inputsOf(spec ?? undefined), name)} onFix={onFix} />
      {picker && where && catalogue && (
        <SourcePicker
          anchor={picker.anchor}
          label={label}
          sources={sourcesFor(where.document, where.place, node, input, catalogue)}
          onTake={(text) => {
            const { anchor, index } = picker;
            setPicker(null);
            onChange(withLink(linked(value) || takesLiteral(kind) || isList(value) ? value : undefined, text, kind.kind === "list" && !fillsList(kind, sourceType(text)), index), { final: true });
            requestAnimationFrame(() => (document.getElementById(id) ?? anchor).focus());
          }}
          onClose={(back) => {
            const { anchor } = picker;
            setPicker(null);
            if (back) (anchor.matches("button, input") ? anchor : anchor.querySelector<HTMLElement>("button, input"))?.focus();
          }}
        />
      )}
      {models && kind.kind === "list" && kind.item.kind === "model" && (
        <ModelList
          anchor={models}
          label={label}
          names={kind.item.names}
          nodeType={nodeType}
          input={input}
          onTake={(name) => {
            setModels(null);
            models.focus();
            onChange([...(isList(value) ? value : []), name], { final: true });
          }}
          onClose={(back) => {
            setModels(null);
            if (back) models.focus();
          }}
        />
      )}
    </div>
  );
}

/** A list that comes over one wire stands for the whole input, unless the items are lists themselves. */
function fillsList(kind: Kind, source: string | undefined): boolean {
  return kind.kind === "list" && kind.item.kind !== "link" && source !== undefined && source.startsWith("list[");
}

function folds(kind: Kind): boolean {
  return kind.kind === "table" || kind.kind === "union" || kind.kind === "json";
}

/** What an empty input says: that it is needed, or what it is without. */
function openWords(type: InputType): string {
  if (type.required) return "needed";
  const without = /without (?:it|one)[,:]? ([^.;]{3,40})/.exec(type.help ?? "");
  return without?.[1] ?? "none";
}

/** Why a link does not work, short enough for its field. */
function linkFault(problems: readonly Problem[]): string | undefined {
  const problem = problems.find((one) => one.severity === "error" && /mismatch|unknown|cycle/.test(one.code));
  if (!problem) return undefined;
  if (problem.code === "cycle") return "goes in a circle";
  return problem.code === "unknown_link" || problem.code === "unknown_output" ? "is not there" : "does not fit";
}

function ModelList(props: { anchor: HTMLElement; label: string; names: readonly string[]; nodeType: string; input: string; onTake(name: string): void; onClose(back: boolean): void }) {
  const models = useCatalogue((state) => state.models);
  return <ModelPicker {...props} options={modelOptions(models, props.names, props.nodeType, props.input)} />;
}

/** What is too large for a card's row: its words there, the field itself in a small panel. */
function Folded({ field, words, children }: { field: FieldProps; words: string; children: React.ReactNode }) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  return (
    <div className={classes("field field--small field--card", field.invalid && "field--failed", field.changed === "no" && "field--default")}>
      {field.changed === "now" && <span className="changed" title="changed since the last run" />}
      <span className="field__name cut" aria-hidden="true">
        {field.label}
      </span>
      <button ref={button} id={field.id} type="button" className="field__input field__button field__button--end" aria-haspopup="dialog" aria-expanded={open} aria-label={`${field.label}, ${words}. Edit`} aria-describedby={field.describedBy} onClick={() => setOpen(true)}>
        <span className="cut">{words}</span>
      </button>
      {open && (
        <Popover anchor={button.current?.parentElement ?? null} label={field.label} width={280} onClose={(back) => { setOpen(false); if (back) button.current?.focus(); }}>
          <div className="popover__body">{children}</div>
        </Popover>
      )}
    </div>
  );
}
