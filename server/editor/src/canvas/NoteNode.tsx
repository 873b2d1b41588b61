import { NodeResizeControl, ResizeControlVariant, type Node, type NodeProps } from "@xyflow/react";
import { memo, useEffect, useRef, useState } from "react";
import { later } from "../marks/later";

export interface NoteData extends Record<string, unknown> {
  readonly text: string;
  readonly width: number;
  readonly onText: (text: string) => void;
  readonly onWidth: (width: number) => void;
}

export type NoteNodeType = Node<NoteData, "note">;

const Markdown = later(async () => (await import("./markdown")).Markdown);

/** A note: Markdown, no box. Enter or a double-click edits it, Ctrl+Enter or leaving it takes the text. */
export const NoteNode = memo(function NoteNode({ data, selected }: NodeProps<NoteNodeType>) {
  const [editing, setEditing] = useState(data.text === "");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (editing) field.current?.focus();
  }, [editing]);
  const box = useRef<HTMLElement>(null);
  const take = (): void => {
    setEditing(false);
    if (field.current !== null && field.current.value !== data.text) data.onText(field.current.value);
  };
  return (
    <aside
      ref={box}
      className={selected ? "note note--chosen" : "note"}
      style={{ width: data.width }}
      aria-label="note"
      tabIndex={0}
      onDoubleClick={(event) => { event.stopPropagation(); setEditing(true); }}
      onKeyDown={(event) => { if (event.key === "Enter" && !editing) { event.preventDefault(); event.stopPropagation(); setEditing(true); } }}
    >
      {editing ? (
        <textarea
          ref={field}
          className="note__field nodrag nowheel nopan"
          aria-label="Text of the note"
          defaultValue={data.text}
          rows={Math.max(3, data.text.split("\n").length + 1)}
          onBlur={take}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Escape") { setEditing(false); box.current?.focus(); }
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { take(); box.current?.focus(); }
          }}
        />
      ) : (
        <Markdown text={data.text} />
      )}
      {selected && <NodeResizeControl variant={ResizeControlVariant.Line} position="right" minWidth={80} onResizeEnd={(_, size) => data.onWidth(size.width)} />}
    </aside>
  );
});
