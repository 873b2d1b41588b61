import { Handle, Position } from "@xyflow/react";
import { memo, type ReactNode } from "react";
import type { OutModel, PortModel, RowModel } from "./model";
import { Mark, Port } from "./parts";

interface RowProps {
  readonly row: RowModel;
  readonly node: string;
  readonly fitting: ReadonlySet<string> | null;
  readonly bypassed: boolean;
  readonly onTag: ((node: string) => void) | undefined;
}

/** One row of ports: an input at the left, an output at the right. */
export const CardRow = memo(function CardRow({ row, node, fitting, bypassed, onTag }: RowProps) {
  const { port, out } = row;
  return (
    <div className="card__row">
      {port !== null && <InPort port={port} node={node} called={fitting?.has(port.handle) === true} />}
      {port !== null && <span className={port.label === "" ? "in in--again" : "in"}>{port.label === "" ? port.input : port.label}</span>}
      {port?.source != null && <span className="from cut">{port.source}</span>}
      {port?.tag != null && <TagChip tag={port.tag} type={port.type} onTag={onTag} />}
      {bypassed && port !== null && out !== null && <span className="through"><i /></span>}
      {out !== null && <span className="out">{out.name}</span>}
      {out !== null && <OutPort out={out} called={fitting?.has(`>${out.name}`) === true} />}
    </div>
  );
});

/** All ports of a collapsed card, one over the other. */
export function FoldedPorts({ ins, outs, node, fitting }: { readonly ins: readonly PortModel[]; readonly outs: readonly OutModel[]; readonly node: string; readonly fitting: ReadonlySet<string> | null }): ReactNode {
  return (
    <>
      {ins.map((port) => <InPort key={port.handle} port={{ ...port, tag: null }} node={node} called={fitting?.has(port.handle) === true} />)}
      {outs.map((out) => <OutPort key={out.name} out={out} called={fitting?.has(`>${out.name}`) === true} />)}
    </>
  );
}

/** Drags from a linked input move its wire: the thread's own end takes the pointer over. */
function takeThread(node: string, handle: string, event: React.PointerEvent | React.MouseEvent): void {
  const id = CSS.escape(`${node}.${handle}`);
  const anchor = document.querySelector(`.react-flow__edge[data-id="${id}"] .react-flow__edgeupdater-target`);
  anchor?.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, button: 0, clientX: event.clientX, clientY: event.clientY }));
}

function InPort({ port, node, called }: { readonly port: PortModel; readonly node: string; readonly called: boolean }): ReactNode {
  const classes = ["handle", "handle--in"];
  if (called) classes.push("handle--call");
  if (port.bad) classes.push("handle--needed");
  return (
    <>
      {port.tag !== null && <span className="stub" data-type={port.type} />}
      <Handle
        id={port.handle}
        type="target"
        position={Position.Left}
        className={classes.join(" ")}
        isConnectableStart={!port.linked}
        onMouseDown={port.linked ? (event) => { if (event.button === 0 && !event.altKey) takeThread(node, port.handle, event); } : undefined}
      >
        <Port type={port.type} filled={port.linked} />
      </Handle>
    </>
  );
}

function OutPort({ out, called }: { readonly out: OutModel; readonly called: boolean }): ReactNode {
  return (
    <Handle id={out.name} type="source" position={Position.Right} className={called ? "handle handle--out handle--call" : "handle handle--out"}>
      <Port type={out.type} filled={out.linked} />
    </Handle>
  );
}

function TagChip({ tag, type, onTag }: { readonly tag: { readonly node: string; readonly label: string }; readonly type: string; readonly onTag: ((node: string) => void) | undefined }): ReactNode {
  return (
    <button type="button" tabIndex={-1} className="tag nodrag" title={`from ${tag.label}`} onClick={() => onTag?.(tag.node)}>
      <Mark type={type} />
      {tag.label}
    </button>
  );
}
