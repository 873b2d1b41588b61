import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { memo, useState } from "react";
import { addExposed, removeExposedRow, renameExposedRow } from "./definitionActs";
import { Icon, Port } from "./parts";
import { RenameField } from "./RenameField";

export interface EdgeRow {
  readonly name: string;
  readonly type: string;
  /** What the use that was entered gives, or the default. */
  readonly aside: string;
  readonly linked: boolean;
}

export interface EdgeData extends Record<string, unknown> {
  readonly side: "inputs" | "outputs";
  readonly rows: readonly EdgeRow[];
  readonly width: number;
}

export type EdgeNodeType = Node<EdgeData, "edge">;

/** Inputs or outputs of a definition: its signature, editable in place. */
export const EdgeCard = memo(function EdgeCard({ data, selected }: NodeProps<EdgeNodeType>) {
  const [renaming, setRenaming] = useState<string | null>(null);
  const inputs = data.side === "inputs";
  const kind = inputs ? "input" : "output";
  const count = data.rows.length === 1 ? "1 " : `${data.rows.length} `;
  return (
    <section
      className={selected ? "edge edge--chosen" : "edge"}
      style={{ width: data.width }}
      tabIndex={0}
      data-card={inputs ? "#inputs" : "#outputs"}
      role="group"
      aria-label={`${data.side} of the definition, ${count}${data.rows.length === 1 ? data.side.slice(0, -1) : data.side}`}
    >
      <header className="edge__title">
        {data.side}
        <button type="button" tabIndex={-1} className="reset edge__add nodrag" aria-label={inputs ? "Add an input" : "Add an output"} onClick={() => addExposed(kind)}><Icon name="plus" small /></button>
      </header>
      {data.rows.map((row) => (
        <div key={row.name} className={"card__row edge__row"}>
          {!inputs && <Handle id={row.name} type="target" position={Position.Left} className="handle handle--in"><Port type={row.type} filled={row.linked} /></Handle>}
          <span className="cut">
            {renaming === row.name ? (
              <RenameField name={row.name} label={`Name of ${row.name}`} onTake={(next) => renameExposedRow(kind, row.name, next)} onEnd={() => setRenaming(null)} />
            ) : (
              <button type="button" tabIndex={-1} className="edge__name cut nodrag" title="rename" onDoubleClick={() => setRenaming(row.name)}>{row.name}</button>
            )}
            {row.aside !== "" && <span className="faint tiny cut edge__aside">{row.aside}</span>}
          </span>
          <button type="button" tabIndex={-1} className="reset nodrag" aria-label={`Remove ${row.name}`} onClick={() => removeExposedRow(kind, row.name)}><Icon name="close" small /></button>
          {inputs && <Handle id={row.name} type="source" position={Position.Right} className="handle handle--out"><Port type={row.type} filled={row.linked} /></Handle>}
        </div>
      ))}
    </section>
  );
});
