/** Files: the picture, where to take another from (uploads, outputs, disk, clipboard), and a mask to paint. */
import { lazy, Suspense, useRef, useState, type ClipboardEvent, type DragEvent } from "react";
import { api } from "../service/api";
import type { ListedOutput } from "../service/types";
import { Icon } from "../marks";
import { classes, fieldKey, type FieldProps } from "./field";
import { Picker, type Option } from "./Picker";
import { pictureOf, sentWords, useUpload } from "./upload";
import { fileName } from "./values";

const MaskPainter = lazy(() => import("./mask/MaskPainter"));

const CONTENT = /^sha256:[0-9a-f]{64}$/;
const names = new Map<string, string>();
const uploaded: string[] = [];

/** What a file was called when it was uploaded here; a content id has no name of its own. */
export function knownName(file: string): string {
  return names.get(file) ?? fileName(file);
}

function fileOptions(outputs: readonly ListedOutput[]): Option[] {
  const options: Option[] = [];
  const seen = new Set<string>();
  const add = (file: string, label: string, aside: string, group: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    options.push({ key: file, label, aside, group, mark: <img className="popover__thumb" src={api.fileUrl(file, 64)} alt="" loading="lazy" /> });
  };
  for (const file of [...uploaded].reverse()) add(file, knownName(file), "", "Uploaded here");
  for (const output of outputs) {
    if (output.kind !== "image" || !output.file) continue;
    add(output.file, output.name ?? fileName(output.file), output.width ? `${output.width} × ${output.height}` : "", "Made by runs");
  }
  return options;
}

export interface FileProps extends FieldProps {
  /** A mask may be painted, over a picture when there is one to paint on. */
  readonly mask?: boolean | undefined;
  /** The picture that the mask is for: a content id, or null. */
  readonly over?: string | null | undefined;
  readonly place?: string | undefined;
}

export function FileField(props: FileProps) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const text = typeof standing === "string" ? standing : "";
  const take = (next: string) => {
    if (next !== text) props.onChange(next, { final: true });
  };
  const upload = useUpload((file, name) => {
    names.set(file.file, name);
    uploaded.push(file.file);
    take(file.file);
  });
  const box = useRef<HTMLDivElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const [outputs, setOutputs] = useState<readonly ListedOutput[]>([]);
  const [over, setOver] = useState(false);
  const [painting, setPainting] = useState(false);
  const [broken, setBroken] = useState<string | null>(null);

  const list = () => {
    setOpen(true);
    api.outputs({ limit: 60 }).then(
      (answer) => setOutputs(answer.outputs),
      () => setOutputs([]),
    );
  };
  const onDrop = (event: DragEvent) => {
    const file = pictureOf(event.dataTransfer);
    setOver(false);
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    void upload.send(file);
  };
  const onPaste = (event: ClipboardEvent) => {
    const file = pictureOf(event.clipboardData);
    if (file) {
      event.preventDefault();
      event.stopPropagation();
      void upload.send(file);
      return;
    }
    const pasted = event.clipboardData.getData("text/plain").trim();
    if (pasted && !pasted.includes("\n") && pasted.length < 1024 && !pasted.startsWith("{")) {
      event.preventDefault();
      event.stopPropagation();
      take(pasted);
    }
  };

  const showPicture = CONTENT.test(text) && broken !== text;
  const faultId = `${props.id}-upload`;
  const big = props.size !== "card";
  const words = text === "" ? (props.mask ? "paint" : "choose a file") : knownName(text);
  const more = broken === text && text !== "" ? "it is not on the server" : props.mask ? "or from a file" : "drop or paste";
  return (
    <>
      <div
        ref={box}
        className={classes("field file", `field--${props.size}`, !big && "field--small", big && "file--big", (props.invalid || upload.fault) && "field--failed", over && "field--focus")}
        onDragOver={(event) => {
          if (!event.dataTransfer.types.includes("Files")) return;
          event.preventDefault();
          event.stopPropagation();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={onDrop}
        onPaste={onPaste}
      >
        {upload.busy && upload.busy.part === 0 && <span className="field__gauge file__sending" />}
        {upload.busy && upload.busy.part > 0 && <span className="field__gauge file__sent" style={{ width: `${(upload.busy.part * 100).toFixed(1)}%` }} />}
        {showPicture ? (
          <span className="picture file__picture">
            <img src={api.fileUrl(text, 128)} alt="" onError={() => setBroken(text)} />
          </span>
        ) : (
          <Icon name="image" />
        )}
        <button
          ref={button}
          id={props.id}
          type="button"
          className="field__input field__button file__button"
          aria-label={`${props.label}, ${words} ${big ? more : ""}`}
          aria-haspopup="dialog"
          aria-expanded={open}
          aria-describedby={classes(upload.fault && faultId, props.describedBy) || undefined}
          disabled={props.readOnly}
          title={text || undefined}
          onClick={list}
          onKeyDown={(event) => {
            if (!fieldKey(event, props) && event.key === "ArrowDown") {
              event.preventDefault();
              event.stopPropagation();
              list();
            }
          }}
        >
          {upload.busy ? (
            <span className="cut quiet">
              {upload.busy.name} <span className="tiny faint">{sentWords(upload.busy)}</span>
            </span>
          ) : (
            <span className="file__words">
              <span className={classes("cut", text === "" && "quiet")}>{words}</span>{" "}
              {big && <span className="cut small quiet">{more}</span>}
            </span>
          )}
        </button>
        {props.mask && (
          <button type="button" className="reset" aria-label={`Paint ${props.label}`} title="Paint" disabled={props.readOnly} onClick={() => setPainting(true)}>
            <Icon name="curve" small />
          </button>
        )}
        <button type="button" className="reset" aria-label={`Upload a file for ${props.label}`} title="From this computer" disabled={props.readOnly} onClick={() => chooser.current?.click()}>
          <Icon name="folder" small />
        </button>
        <input
          ref={chooser}
          type="file"
          accept="image/*"
          hidden
          tabIndex={-1}
          aria-hidden="true"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            event.currentTarget.value = "";
            if (file) void upload.send(file);
          }}
        />
      </div>
      {upload.fault && (
        <p className="field__typo small" id={faultId} role="alert">
          {upload.fault}{" "}
          <button type="button" className="link" onClick={() => { upload.clear(); chooser.current?.click(); }}>
            Choose another
          </button>
        </p>
      )}
      {open && (
        <Picker
          anchor={box.current}
          label={props.label}
          options={fileOptions(outputs)}
          chosen={text}
          free
          width={320}
          empty="Nothing was uploaded or made yet."
          foot={
            <div className="menu__foot">
              <button type="button" className="link" onClick={() => { setOpen(false); chooser.current?.click(); }}>
                From this computer…
              </button>
              {props.mask && (
                <button type="button" className="link" onClick={() => { setOpen(false); setPainting(true); }}>
                  Paint…
                </button>
              )}
            </div>
          }
          onTake={(file) => {
            setOpen(false);
            setBroken(null);
            take(file);
            button.current?.focus();
          }}
          onClose={(back) => {
            setOpen(false);
            if (back) button.current?.focus();
          }}
        />
      )}
      {painting && (
        <Suspense fallback={null}>
          <MaskPainter
            title={props.place ?? props.label}
            over={props.over ?? null}
            mask={CONTENT.test(text) ? text : null}
            onTake={(file) => {
              setPainting(false);
              names.set(file, "painted mask");
              uploaded.push(file);
              take(file);
              button.current?.focus();
            }}
            onClose={() => {
              setPainting(false);
              button.current?.focus();
            }}
          />
        </Suspense>
      )}
    </>
  );
}
