/** An input that comes over a wire: where from, go there, take it off; and the list of what could be linked. */
import { useRef, useState } from "react";
import { Icon } from "../marks";
import { Mark } from "../marks";
import { classes, fieldKey, type FieldProps, type Size } from "./field";
import { Picker, type Option } from "./popups";

interface LinkedProps {
  readonly id: string;
  readonly label: string;
  readonly text: string;
  /** The kind of data of the output; absent when it is not known. */
  readonly type?: string | undefined;
  /** Why the link does not work, in a few words. */
  readonly fault?: string | undefined;
  readonly aside?: string | undefined;
  readonly size: Size;
  readonly describedBy?: string | undefined;
  readonly onGo?: (() => void) | undefined;
  readonly onUnlink?: (() => void) | undefined;
  readonly onRelink?: ((anchor: HTMLElement) => void) | undefined;
}

/** One link: Enter lists what else fits, Delete takes it off. */
export function LinkedField(props: LinkedProps) {
  const { text, type, fault, size } = props;
  const box = useRef<HTMLDivElement>(null);
  return (
    <div ref={box} className={classes("field field--link", `field--${size}`, size === "card" && "field--small", fault && "field--link-failed")}>
      {props.size === "card" && (
        <span className="field__name cut" aria-hidden="true">
          {props.label}
        </span>
      )}
      {type && <Mark type={type} />}
      <button
        id={props.id}
        type="button"
        className="field__input field__button cut"
        aria-label={`${props.label}, linked to ${text}${fault ? ` ${fault}` : ""}`}
        aria-invalid={fault ? true : undefined}
        aria-describedby={props.describedBy || undefined}
        aria-haspopup={props.onRelink ? "dialog" : undefined}
        title={fault ? `${text} ${fault}` : text}
        onClick={() => box.current && props.onRelink?.(box.current)}
        onKeyDown={(event) => {
          if (event.key === "Delete" && props.onUnlink) {
            event.preventDefault();
            event.stopPropagation();
            props.onUnlink();
          } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "l" && box.current && props.onRelink) {
            event.preventDefault();
            event.stopPropagation();
            props.onRelink(box.current);
          } else fieldKey(event, { onChange: () => props.onUnlink?.(), onLink: undefined });
        }}
      >
        <span className={classes("cut", fault && "failed")}>{fault ? `${text} ${fault}` : text}</span>
      </button>
      {props.aside && <span className="faint tiny">{props.aside}</span>}
      {props.onGo && (
        <button type="button" className="reset push" aria-label={`Go to ${text}`} title={`Go to ${text}`} onClick={props.onGo}>
          <Icon name="goto" small />
        </button>
      )}
    </div>
  );
}

/** An input that only a link can fill, and has none. */
export function OpenLink(props: Pick<FieldProps, "id" | "label" | "size" | "invalid" | "describedBy"> & { readonly words: string; onOpen(anchor: HTMLElement): void }) {
  const box = useRef<HTMLDivElement>(null);
  return (
    <div ref={box} className={classes("field field--link", `field--${props.size}`, props.size === "card" && "field--small", props.invalid && "field--link-failed")}>
      {props.size === "card" && (
        <span className="field__name cut" aria-hidden="true">
          {props.label}
        </span>
      )}
      <button
        id={props.id}
        type="button"
        className="field__input field__button"
        aria-label={`${props.label}, ${props.words}. Link`}
        aria-haspopup="dialog"
        aria-invalid={props.invalid || undefined}
        aria-describedby={props.describedBy || undefined}
        onClick={() => box.current && props.onOpen(box.current)}
        onKeyDown={(event) => {
          if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "l") {
            event.preventDefault();
            event.stopPropagation();
            if (box.current) props.onOpen(box.current);
          }
        }}
      >
        <span className="faint cut">{props.words}</span>
      </button>
    </div>
  );
}

interface SourcePickerProps {
  readonly anchor: HTMLElement;
  readonly label: string;
  readonly sources: readonly { readonly text: string; readonly type: string; readonly node: string }[];
  onTake(text: string): void;
  onClose(back: boolean): void;
}

/** What fits, by number: the outputs of other nodes that an input can take. */
export function SourcePicker({ anchor, label, sources, onTake, onClose }: SourcePickerProps) {
  const options: Option[] = sources.map((source) => ({ key: source.text, label: source.text, aside: source.type, mark: <Mark type={source.type} /> }));
  return <Picker anchor={anchor} label={`Link ${label}`} options={options} numbered width={280} empty="No node here makes what fits. Add one: it is linked when it is dropped on this input." onTake={onTake} onClose={onClose} />;
}

/** Holds which picker is open and where. */
export function useSourcePicker(): { open: { anchor: HTMLElement; take(text: string): void } | null; show(anchor: HTMLElement, take: (text: string) => void): void; close(back: boolean): void; } {
  const [open, setOpen] = useState<{ anchor: HTMLElement; take(text: string): void } | null>(null);
  return {
    open,
    show: (anchor, take) => setOpen({ anchor, take }),
    close: (back) => {
      const anchor = open?.anchor;
      setOpen(null);
      if (back) (anchor?.matches("button, input") ? anchor : anchor?.querySelector<HTMLElement>("button, input"))?.focus();
    },
  };
}
