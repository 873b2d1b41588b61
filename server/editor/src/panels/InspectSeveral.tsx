/** Several nodes: the inputs that they share, set at once. */
import type { InputType, NodeType } from "../catalogue/types";
import { modeOf, nodeOf, inputsOf } from "../document/graph";
import { own, sameJson } from "../document/objects";
import type { Document, Json, Place } from "../document/types";
import { Icon } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { InputRow } from "../widgets/InputRow";
import { linked } from "../widgets/values";
import { changeInputs, toggleCollapsed, toggleMode } from "./acts";

/** The inputs that all the types have, of one type each, so that one value fits all. */
export function sharedInputs(types: readonly (NodeType | undefined)[]): InputType[] {
  const [first, ...others] = types;
  if (!first || others.some((type) => !type)) return [];
  return first.inputs.filter((input) => others.every((type) => type?.inputs.some((one) => one.name === input.name && one.type === input.type)));
}

/** The value that all have; undefined values count as the default. `mixed` where they differ. */
export function sharedValue(values: readonly (Json | undefined)[]): { readonly value: Json | undefined; readonly mixed: boolean } {
  const [first, ...others] = values;
  return others.every((value) => sameJson(value, first)) ? { value: first, mixed: false } : { value: undefined, mixed: true };
}

export function InspectSeveral({ document, place, ids }: { document: Document; place: Place; ids: readonly string[] }) {
  const catalogue = useCatalogue((state) => state.catalogue);
  const specs = ids.map((id) => nodeOf(document, place, id));
  const shared = sharedInputs(specs.map((spec) => spec && catalogue?.typeOf(document, spec)));
  const first = ids[0] ?? "";
  return (
    <>
      <div className="inspect__head">
        <h2 className="inspect__name">{ids.length} nodes</h2>
        <span className="inspect__acts">
          <button type="button" className="button button--plain button--icon button--small" aria-label="Mute all" aria-pressed={specs.every((spec) => modeOf(spec) === "mute")} onClick={() => toggleMode(place, ids, "mute")}>
            <Icon name="mute" />
          </button>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Bypass all" aria-pressed={specs.every((spec) => modeOf(spec) === "bypass")} onClick={() => toggleMode(place, ids, "bypass")}>
            <Icon name="bypass" />
          </button>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Collapse all" onClick={() => toggleCollapsed(place, ids)}>
            <Icon name="down" />
          </button>
        </span>
      </div>
      <p className="inspect__summary small quiet">{ids.join(", ")}</p>
      <div className="inspect__inputs">
        {shared.map((input) => {
          const values = specs.map((spec) => own(inputsOf(spec), input.name));
          const { value, mixed } = sharedValue(values);
          if (values.some(linked)) return null;
          return (
            <div key={input.name}>
              <InputRow node={first} input={input.name} type={input} value={value} problems={[]} document={document} place={place} onChange={(next, how) => changeInputs(place, ids, input.name, next, how)} />
              {mixed && <p className="inspect__facts">the values differ; what is typed here is for all</p>}
            </div>
          );
        })}
        {shared.length === 0 && <p className="inspect__summary small faint">They share no inputs.</p>}
      </div>
    </>
  );
}
