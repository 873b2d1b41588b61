import { EdgeLabelRenderer, getSmoothStepPath, Position, type ConnectionLineComponentProps } from "@xyflow/react";
import { useCanvas } from "./canvasStore";
import { familyOf } from "./families";

/** The wire that hangs at the pointer, with the reason when it may not end there. */
export function ConnectionLine({ fromX, fromY, toX, toY, fromPosition, connectionStatus, toHandle }: ConnectionLineComponentProps) {
  const from = useCanvas((state) => state.connecting);
  const refusal = useCanvas((state) => state.refusal);
  const [path] = getSmoothStepPath({
    sourceX: fromX, sourceY: fromY, sourcePosition: fromPosition,
    targetX: toX, targetY: toY, targetPosition: fromPosition === Position.Left ? Position.Right : Position.Left,
    borderRadius: 10,
  });
  const refused = connectionStatus === "invalid" && toHandle !== null;
  return (
    <>
      <path className="wire-halo" d={path} />
      <path className={`wire wire--near type-${familyOf(from?.type ?? "any")}${refused ? " wire--bad" : ""}`} d={path} />
      <circle className={`type-${familyOf(from?.type ?? "any")}`} cx={toX} cy={toY} r={5} fill="currentColor" />
      {refused && refusal !== null && (
        <EdgeLabelRenderer>
          <span className="wire-name wire-name--bad wire-name--pointer" role="status" style={{ transform: `translate(${toX + 14}px, ${toY + 10}px)` }}>{refusal}</span>
        </EdgeLabelRenderer>
      )}
    </>
  );
}
