/** The field of a literal, by its kind. */
import { useMemo } from "react";
import type { Document, Place } from "../document/types";
import { useCatalogue } from "../state/catalogue";
import { drawSeed } from "../state/seeds";
import { useWorkspace } from "../state/workspace";
import { ChoiceField, SwitchField } from "./ChoiceField";
import type { FieldProps } from "./field";
import type { Kind } from "./kinds";
import { ColourField, FileField, JsonField, ListField, TableField, UnionField } from "./laterFields";
import { ModelField, modelOptions } from "./ModelField";
import { NumberField } from "./NumberField";
import type { NumberRules } from "./numbers";
import { SeedField } from "./SeedField";
import { pictureFor, taughtAt } from "./sources";
import { TextField } from "./TextField";
import type { Sort } from "./UnionField";

interface LiteralProps {
  readonly kind: Kind;
  readonly node: string;
  readonly nodeType: string;
  readonly input: string;
  readonly field: FieldProps;
  readonly document?: Document | undefined;
  readonly place?: Place | undefined;
}

const ANY: Omit<NumberRules, "whole"> = { optional: false, range: null, gauge: null };

export function Literal(props: LiteralProps) {
  const { kind, field } = props;
  switch (kind.kind) {
    case "number":
      return <NumberField {...field} rules={kind.rules} slider={field.size === "app" && kind.rules.gauge !== null} none={noneWords(props.input)} />;
    case "seed":
      return <Seed {...props} rules={kind.rules} />;
    case "text":
      return kind.lines ? <Prompt {...props} /> : <TextField {...field} placeholder={field.fallback === "" || kind.optional ? "none" : undefined} />;
    case "choice":
      return <ChoiceField {...field} choices={kind.choices} segments={kind.segments} />;
    case "switch":
      return <SwitchField {...field} optional={kind.optional} />;
    case "colour":
      return <ColourField {...field} />;
    case "file":
      return <FileField {...field} mask={kind.mask} over={kind.mask && props.document ? pictureFor(props.document, props.place ?? null, props.node) : null} place={`${props.node}.${props.input}`} />;
    case "model":
      return <Model {...props} names={kind.names} />;
    case "table":
      return <TableField {...field} />;
    case "union":
      return <UnionField {...field} sorts={kind.sorts} render={(sort) => <Sorted {...props} sort={sort} />} />;
    case "list":
      return <ListField {...field} fresh={kind.fresh} noun={kind.noun} item={(item, index, change, id) => <Literal {...props} kind={kind.item} field={{ ...field, id, label: `${field.label} ${index + 1}`, value: item, fallback: undefined, changed: "own", onChange: (next) => change(next ?? null) }} />} link={() => null} />;
    default:
      return <JsonField {...field} />;
  }
}

/** What a number that is not there means, where the name tells. */
function noneWords(input: string): string {
  return input === "cooldown" ? "to the end" : "none";
}

function Sorted(props: LiteralProps & { readonly sort: Sort }) {
  const field = { ...props.field };
  switch (props.sort) {
    case "str":
      return props.kind.kind === "union" && props.kind.sorts.includes("list[str]") ? <Prompt {...props} /> : <TextField {...field} />;
    case "int":
      return <NumberField {...field} rules={{ ...ANY, whole: true }} />;
    case "float":
      return <NumberField {...field} rules={{ ...ANY, whole: false }} />;
    case "bool":
      return <SwitchField {...field} />;
    case "list[str]":
      return <ListField {...field} fresh="" noun="text" item={(item, index, change, id) => <TextField {...field} id={id} label={`${field.label} ${index + 1}`} value={item} fallback={undefined} size="panel" onChange={(next) => change(next ?? "")} />} link={() => null} />;
  }
}

/** Words are looked up for texts that a model reads: others may hold `<x>` as they like. */
function Prompt({ field, node, nodeType, document, place }: LiteralProps) {
  const catalogue = useCatalogue((state) => state.catalogue);
  const prompt = /prompt/.test(nodeType);
  const taught = useMemo(() => (prompt && document && catalogue ? taughtAt(document, place ?? null, node, catalogue) : undefined), [prompt, document, place, node, catalogue]);
  return <TextField {...field} lines taught={taught} />;
}

function Model({ field, names, nodeType, input }: LiteralProps & { readonly names: readonly string[] }) {
  const models = useCatalogue((state) => state.models);
  const options = useMemo(() => modelOptions(models, names, nodeType, input), [models, names, nodeType, input]);
  return <ModelField {...field} options={options} />;
}

function Seed({ field, node, input, rules, place }: LiteralProps & { readonly rules: NumberRules }) {
  const key = `${node}.${input}`;
  const policy = useWorkspace((state) => state.tabs.find((tab) => tab.id === state.current)?.seeds.get(key) ?? "keep");
  const set = useWorkspace((state) => state.setSeedPolicy);
  return <SeedField {...field} rules={rules} policy={policy} onPolicy={(next) => set(key, next)} onDraw={(place ?? null) === null ? () => drawSeed(undefined, key) : undefined} />;
}
