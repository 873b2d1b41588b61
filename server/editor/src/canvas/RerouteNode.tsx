import { type Node, type NodeProps } from "@xyflow/react";
import { memo } from "react";
import { Port } from "./parts";

export interface RerouteData extends Record<string, unknown> {
  readonly type: string;
  readonly of: string;
}

export type RerouteNodeType = Node<RerouteData, "reroute">;

/** A bend in a thread; display only. */
export const RerouteNode = memo(function RerouteNode({ data, selected }: NodeProps<RerouteNodeType>) {
  return (
    <span className={selected ? "reroute reroute--chosen" : "reroute"} tabIndex={0} role="img" aria-label={`reroute of ${data.of}`}>
      <Port type={data.type} filled />
    </span>
  );
});
