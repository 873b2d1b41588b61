/** One row of the outline. */
import { memo } from "react";
import { modeOf, nodeOf } from "../document/graph";
import type { Document } from "../document/types";
import { Icon, Mark } from "../marks";
import { useNodeFace } from "../state/board";
import { useCatalogue } from "../state/catalogue";
import { usePlan } from "../state/plans";
import { classes } from "../widgets/field";
import { isLink } from "../document/graph";
import { isList } from "../document/objects";
import { valueWords } from "../widgets/values";
import type { OutlineRow } from "./outlineRows";

interface ItemProps {
  readonly row: OutlineRow;
  readonly top: number;
  readonly now: boolean;
  readonly chosen: boolean;
  readonly tab: string;
  readonly path: string;
  readonly document: Document;
  onPress(more: boolean): void;
  onOpen(): void;
  onTurn(): void;
}

export const OutlineItem = memo(
  function OutlineItem(props: ItemProps) {
    const { row, top, now, chosen } = props;
    return (
      <div
        id={`outline-${row.key}`}
        data-key={row.key}
        role="treeitem"
        aria-level={row.depth + 1}
        aria-posinset={row.position}
        aria-setsize={row.of}
        aria-expanded={row.expandable ? row.open : undefined}
        aria-selected={chosen}
        className={classes("item outline__row", now && "outline__row--now", chosen && "outline__row--chosen")}
        style={{ top, paddingLeft: `calc(var(--space-2) + ${row.depth} * var(--space-4))` }}
        onPointerDown={(event) => {
          if (event.button === 0 && !(event.target instanceof Element && event.target.closest(".twist"))) props.onPress(event.shiftKey || event.ctrlKey || event.metaKey);
        }}
        onDoubleClick={props.onOpen}
      >
        <span className="twist" onClick={props.onTurn}>
          {row.expandable && <Icon name={row.open ? "down" : "right"} small />}
        </span>
        {row.kind === "group" ? <GroupWords row={row} /> : row.kind === "node" ? <NodeWords {...props} /> : <InputWords {...props} />}
      </div>
    );
  },
  (a, b) => a.row === b.row && a.top === b.top && a.now === b.now && a.chosen === b.chosen && a.path === b.path && a.tab === b.tab && a.document === b.document,
);

function GroupWords({ row }: { row: OutlineRow }) {
  return (
    <>
      <span className="medium cut">{row.type || "group"}</span>
      <span className="sr-only">, group</span>
    </>
  );
}

function NodeWords({ row, tab, path, document }: ItemProps) {
  const face = useNodeFace(tab, path);
  const catalogue = useCatalogue((state) => state.catalogue);
  const output = catalogue?.typeOf(document, row.type)?.outputs[0];
  const mode = modeOf(nodeOf(document, row.place, row.id));
  return (
    <>
      <Mark type={output?.type ?? "Files"} />
      <span className={classes("cut outline__id", mode !== null && "outline__off", mode === "mute" && "outline__muted", (face.state === "failed" || face.state === "problem") && "failed")}>{row.id}</span>
      {row.type !== row.id && <span className="faint cut">{row.type}</span>}
      <span className="state" title={face.words}>
        <Icon name={face.icon} small />
        <span className="sr-only">, {face.words}</span>
      </span>
    </>
  );
}

function InputWords({ row, tab, path }: ItemProps) {
  const failed = usePlan((state) => state.ofTab.get(tab)?.problems.some((problem) => problem.node === path && problem.input === row.input && problem.severity === "error") ?? false);
  const linked = isLink(row.value) || (isList(row.value) && row.value.some(isLink));
  return (
    <span className={classes("row outline__input", failed && "outline__row--failed")}>
      <span className={classes("cut", !failed && "quiet")}>{row.input}</span>
      <span className={classes("cut outline__value", row.value === undefined && "faint")}>
        {linked && <span className="sr-only">from </span>}
        {row.value === undefined ? (row.fallback === undefined ? "–" : valueWords(row.fallback)) : valueWords(row.value)}
        {failed && <span className="sr-only">, has a problem</span>}
      </span>
    </span>
  );
}
