import { NodeResizeControl, type Node, type NodeProps } from "@xyflow/react";
import { memo } from "react";
import { useCanvas } from "./canvasStore";
import { RenameField } from "./RenameField";

export interface GroupData extends Record<string, unknown> {
  readonly name: string;
  readonly count: number;
  readonly onName: (name: string) => string | null;
  readonly onSize: (box: { x: number; y: number; width: number; height: number }) => void;
}

export type GroupNodeType = Node<GroupData, "group">;

/** A named frame around nodes: no data, drags what is in it. */
export const GroupNode = memo(function GroupNode({ id, data, selected, width, height }: NodeProps<GroupNodeType>) {
  const renaming = useCanvas((state) => state.renaming === id);
  const set = useCanvas((state) => state.set);
  return (
    <section className={selected ? "group group--chosen" : "group"} style={{ width, height }} aria-label={`group: ${data.name}`}>
      <span className="group__name" onDoubleClick={(event) => { event.stopPropagation(); set({ renaming: id }); }}>
        {renaming ? <RenameField name={data.name} label="Name of the group" onTake={data.onName} onEnd={() => set({ renaming: null })} /> : data.name}
      </span>
      <span className="group__aside">{data.count === 1 ? "1 node" : `${data.count} nodes`}</span>
      {selected && <NodeResizeControl position="bottom-right" minWidth={96} minHeight={64} onResizeEnd={(_, box) => data.onSize(box)} />}
    </section>
  );
});
