import { type Node, type NodeProps } from "@xyflow/react";
import { memo, useCallback, useMemo } from "react";
import type { Place } from "../document/types";
import { laterActs } from "../marks/later";
import { Widget } from "../widgets/Widget";
import { wasOf } from "../widgets/was";
import { useNodeFace } from "../state/board";
import { usePin } from "../state/pinned";
import { useWorkspace } from "../state/workspace";
import { Card } from "./Card";
import { useCanvas } from "./canvasStore";
import { changeField, openLink, renameNode, showSource, widenCard } from "./cardActs";
import { fitsOf } from "./fitting";
import type { CardModel, FieldModel } from "./model";
import { useCardProblems } from "./problems";

export interface CardData extends Record<string, unknown> {
  readonly model: CardModel;
  readonly tab: string;
  /** The node as a run names it: `use/id` inside a definition. */
  readonly path: string;
  readonly place: Place;
}

export type CardNodeType = Node<CardData, "card" | "definition">;

/** Keys are on a card. Reached by keys it is the one that is chosen, unless several are. */
function takeFocus(id: string, byKeys: boolean): void {
  const { tabs, current, setFocus, select } = useWorkspace.getState();
  const chosen = tabs.find((tab) => tab.id === current)?.selected;
  if (byKeys && chosen !== undefined && chosen.size <= 1) select([id], id);
  else setFocus(id);
}

const pins = laterActs(() => import("../state/pinActs"));
const noField = (): null => null;

/** A node on the canvas: joins what the document says, how the run stands and what the pointer does. Only its own changes render it. */
export const CardNode = memo(function CardNode({ id, data, selected }: NodeProps<CardNodeType>) {
  const { model, tab } = data;
  const face = useNodeFace(tab, data.path);
  const problems = useCardProblems(tab, data.path);
  const pinned = usePin(tab, data.path) !== undefined;
  const connecting = useCanvas((state) => state.connecting);
  const renaming = useCanvas((state) => state.renaming === id);
  const set = useCanvas((state) => state.set);
  // Fields are not drawn in the smaller steps: their places stay, so that nothing moves.
  const withFields = useCanvas((state) => state.detail === "full");
  const ran = useCanvas((state) => state.ran);
  const { place } = data;
  const fitting = useMemo(() => (connecting === null ? null : fitsOf(connecting, model)), [connecting, model]);
  const renderField = useCallback(
    (field: FieldModel) => (
      <Widget
        node={id}
        input={field.name}
        type={field.type}
        value={field.value}
        size="card"
        was={wasOf(ran, place, id, field.name, field.value, field.type.default)}
        problems={problems.map((one) => one.problem).filter((problem) => problem.input === field.name)}
        onChange={(value, how) => changeField(id, field.name, value, how.final)}
      />
    ),
    [id, problems, ran, place],
  );
  return (
    <Card
      model={model}
      face={face}
      problems={problems}
      chosen={selected}
      fitting={fitting}
      renaming={renaming}
      renderField={withFields ? renderField : noField}
      onFocus={(byKeys) => takeFocus(id, byKeys)}
      onEnter={() => useWorkspace.getState().enter(id)}
      onRename={(name) => renameNode(id, name)}
      onRenameEnd={() => set({ renaming: null })}
      onStartRename={() => set({ renaming: id })}
      onTag={showSource}
      onWidth={(width) => widenCard(id, width)}
      onLink={(name) => openLink(tab, data.path, id, name)}
      pinned={pinned}
      onPin={() => pins(({ togglePin }) => void togglePin(tab, data.path))}
    />
  );
});
