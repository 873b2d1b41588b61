/** One node: what it is, its inputs, who takes its outputs, why it ran again. */
import { HelpText } from "../widgets/HelpText";
import { useEffect, useMemo, useState } from "react";
import { pinnedOn } from "../catalogue/pins";
import { cardUi, graphOf, inputsOf, isDefinition, links, modeOf, nodeOf } from "../document/graph";
import { own } from "../document/objects";
import type { Document, Place } from "../document/types";
import { parameterOf } from "../document/edits";
import { Icon, Mark } from "../marks";
import { useNodeFace } from "../state/board";
import { useCatalogue } from "../state/catalogue";
import { usePlan } from "../state/plans";
import { shownRun } from "../state/runs";
import { runId, useWorkspace } from "../state/workspace";
import type { Tab } from "../state/types";
import { problemsOf, unknownInputs } from "../widgets/fixes";
import { InputRow } from "../widgets/InputRow";
import { valueWords } from "../widgets/values";
import { changeInput, pinInput, renameNode, toggleCollapsed, toggleMode } from "./acts";
import { wasOf } from "../widgets/was";
import { whySentence } from "./why";

interface NodeProps {
  readonly tab: Tab;
  readonly document: Document;
  readonly place: Place;
  readonly id: string;
}

const NO_PROBLEMS = [] as const;

export function InspectNode({ tab, document, place, id }: NodeProps) {
  const catalogue = useCatalogue((state) => state.catalogue);
  const path = runId(tab, id);
  const face = useNodeFace(tab.id, path);
  const problems = usePlan((state) => state.ofTab.get(tab.id)?.problems) ?? NO_PROBLEMS;
  const spec = nodeOf(document, place, id);
  const [all, setAll] = useState(false);
  const pinned = useMemo(() => new Set(catalogue ? pinnedOn(document, place, id, catalogue) : []), [catalogue, document, place, id]);
  if (!spec) return null;
  const type = catalogue?.typeOf(document, spec);
  const mode = modeOf(spec);
  const run = shownRun(tab.id);
  const before = run?.document as Document | undefined;
  const node = run?.nodes.get(path);
  const why = whySentence(node?.why, node?.reason);
  const set = inputsOf(spec);
  const was = (input: string) => {
    const fallback = type?.inputs.find((one) => one.name === input)?.default;
    return wasOf(before, place, id, input, own(set, input), fallback);
  };
  const users = [...links(graphOf(document, place).nodes)].filter((wire) => wire.source === id);

  return (
    <>
      <div className="inspect__head">
        <Mark type={type?.outputs[0]?.type ?? "Files"} />
        <NodeName place={place} id={id} />
        <span className="inspect__acts">
          <button type="button" className="button button--plain button--icon button--small" aria-label="Mute" title="Mute: M" aria-pressed={mode === "mute"} onClick={() => toggleMode(place, [id], "mute")}>
            <Icon name="mute" />
          </button>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Bypass" title="Bypass: B" aria-pressed={mode === "bypass"} onClick={() => toggleMode(place, [id], "bypass")}>
            <Icon name="bypass" />
          </button>
          <button type="button" className="button button--plain button--icon button--small" aria-label="Collapse" title="Collapse: C" aria-pressed={cardUi(document, place, id).collapsed === true} onClick={() => toggleCollapsed(place, [id])}>
            <Icon name={cardUi(document, place, id).collapsed ? "right" : "down"} />
          </button>
          {isDefinition(document, spec.type) && (
            <button type="button" className="button button--plain button--icon button--small" aria-label={`Enter ${spec.type}`} title="Enter: Alt+Down" onClick={() => useWorkspace.getState().enter(id)}>
              <Icon name="enter" />
            </button>
          )}
        </span>
      </div>
      <p className="inspect__summary small quiet">
        <span className="faint">
          {spec.type}
          {type && !isDefinition(document, spec.type) ? `, version ${spec.version ?? type.version}` : ""} · {face.words}
        </span>
        <br />
        {type ? type.summary : "This node type is not installed. Its inputs and links are kept as they are."}{" "}
        {type?.help && type.help.trim() !== type.summary.trim() && (
          <button type="button" className="link quiet" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "Less" : "More"}
          </button>
        )}
      </p>
      {all && <p className="inspect__summary small quiet inspect__all"><HelpText text={type?.help ?? ""} /></p>}
      <div className="inspect__inputs">
        {(type?.inputs ?? []).map((input) => (
          <InputRow
            key={input.name}
            node={id}
            input={input.name}
            type={input}
            value={own(set, input.name)}
            was={was(input.name)}
            problems={problemsOf(problems, path, input.name)}
            document={document}
            place={place}
            parameter={(place === null && parameterOf(document, `${id}.${input.name}`)) || undefined}
            pinned={pinned.has(input.name)}
            onPin={(on) => pinInput(place, id, input.name, on)}
            onChange={(value, how) => changeInput(place, id, input.name, value, how)}
          />
        ))}
        {unknownInputs(set, type?.inputs ?? []).map(([name, value]) => (
          <InputRow
            key={name}
            node={id}
            input={name}
            type={{ name, type: "any", required: false, help: type ? "The node’s type has no such input; it is kept as it is." : "" }}
            value={value}
            problems={problemsOf(problems, path, name)}
            document={document}
            place={place}
            onChange={(next, how) => changeInput(place, id, name, next, how)}
          />
        ))}
        {type && type.inputs.length === 0 && <p className="inspect__summary small faint">It has no inputs.</p>}
      </div>
      {type && type.outputs.length > 0 && (
        <dl className="inspect__outputs small">
          {type.outputs.map((output, at) => {
            const takers = users.filter((wire) => (wire.output === null ? at === 0 : wire.output === output.name));
            return [
              <dt key={`${output.name}-name`} className="quiet cut">
                {output.name}
              </dt>,
              <dd key={output.name}>
                <Mark type={output.type} />
                {takers.length === 0 && <span className="faint">nobody takes it</span>}
                {takers.map((wire) => (
                  <button key={`${wire.target}.${wire.input}.${wire.index ?? ""}`} type="button" className="link" onClick={() => useWorkspace.getState().select([wire.target], wire.target)}>
                    {wire.target}.{wire.input}
                  </button>
                ))}
              </dd>,
            ];
          })}
        </dl>
      )}
      {why && (
        <div className="inspect__why small">
          <p className="medium">Why did this run again?</p>
          <p className="quiet">{why}</p>
        </div>
      )}
      {node?.error && (
        <div className="inspect__why small">
          <p className="failed">{valueWords(node.error.message)}</p>
        </div>
      )}
    </>
  );
}

function NodeName({ place, id }: { place: Place; id: string }) {
  const [name, setName] = useState(id);
  useEffect(() => setName(id), [id]);
  const take = () => {
    if (name.trim() === id || !renameNode(place, id, name.trim())) setName(id);
  };
  return (
    <input
      className="inspect__title"
      aria-label="Name of the node"
      value={name}
      spellCheck={false}
      autoComplete="off"
      onChange={(event) => setName(event.currentTarget.value)}
      onBlur={take}
      onKeyDown={(event) => {
        if (event.key === "Enter") take();
        else if (event.key === "Escape") {
          event.stopPropagation();
          setName(id);
          const field = event.currentTarget;
          requestAnimationFrame(() => field.blur());
        }
      }}
    />
  );
}
