import { BaseEdge, EdgeLabelRenderer, getSmoothStepPath, type Edge, type EdgeProps } from "@xyflow/react";
import { memo } from "react";
import { carriedBy } from "./carries";
import { useCanvas } from "./canvasStore";

/** What is drawn of one thread; made in scene.ts, so that a new object means a new look. */
export interface ThreadData extends Record<string, unknown> {
  /** The way along its track, valid while both ends stand where `ends` says. */
  readonly path: string;
  readonly ends: readonly [number, number, number, number];
  readonly middle: readonly [number, number];
  readonly family: string;
  /** Ways of all threads of the same output, drawn once below them. */
  readonly halos: readonly string[];
  readonly look: "there" | "empty" | "cut" | "bad";
  readonly near: boolean;
  readonly far: boolean;
  /** Drawn as a stub and a chip: only its end can be taken. */
  readonly tagged: boolean;
  /** "sketch.edges"; what it carries is found when it is pointed at. */
  readonly name: string;
  /** Why it does not fit. */
  readonly reason: string | null;
}

export type ThreadEdgeType = Edge<ThreadData, "thread">;

/** Within this many pixels an end stands where the layout put it. */
const SAME = 1.5;

export const ThreadEdge = memo(function ThreadEdge(props: EdgeProps<ThreadEdgeType>) {
  const { id, data, sourceX, sourceY, targetX, targetY } = props;
  const pointed = useCanvas((state) => state.pointedThread === id);
  const inserting = useCanvas((state) => state.insertInto === id);
  if (data === undefined) return null;
  const [x, y, endX, endY] = data.ends;
  const stands = Math.abs(x - sourceX) < SAME && Math.abs(y - sourceY) < SAME && Math.abs(endX - targetX) < SAME && Math.abs(endY - targetY) < SAME;
  const [dragged, middleX, middleY] = stands
    ? [data.path, data.middle[0], data.middle[1]]
    : getSmoothStepPath({ sourceX, sourceY, targetX, targetY, borderRadius: 10 });
  const shown = !data.tagged || data.near || pointed;
  const classes = ["wire", `type-${data.family}`];
  if (data.near || inserting) classes.push("wire--near");
  if (data.far && !pointed && data.look !== "bad") classes.push("wire--far");
  if (data.look !== "there") classes.push(`wire--${data.look}`);
  return (
    <>
      {shown && (stands ? data.halos : [dragged]).map((way, at) => <path key={at} className="wire-halo" d={way} />)}
      {shown && <path className={classes.join(" ")} d={dragged} />}
      {shown && <BaseEdge path={dragged} interactionWidth={16} style={{ stroke: "none" }} />}
      {(pointed || (data.look === "bad" && data.near) || inserting) && shown && (
        <EdgeLabelRenderer>
          <span
            className={data.reason === null ? "wire-name" : "wire-name wire-name--bad"}
            style={{ transform: `translate(-50%, -50%) translate(${middleX}px, ${middleY}px)` }}
          >
            {data.reason ?? (inserting ? "insert here" : data.name)}
            {data.reason === null && pointed && !inserting && <span className="wire-name__carries">{carriedBy(props.source, props.sourceHandleId ?? "")}</span>}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
});
