/** Models, adapters, ControlNets and embeddings by name: those of the model folders, those that ship with Weft, or a path. */
import { useRef, useState, type ReactNode } from "react";
import type { ModelInfo } from "../service/types";
import { Icon } from "../marks";
import { bytes } from "../state/words";
import { Box, aria, classes, fieldKey, type FieldProps } from "./field";
import { Picker, type Option } from "./popups";

const KIND_WORDS: ReadonlyMap<string, string> = new Map([
  ["model", "Models"],
  ["controlnet", "ControlNets"],
  ["t2i_adapter", "T2I adapters"],
  ["ip_adapter", "Image adapters"],
  ["image_encoder", "Image encoders"],
  ["lora", "LoRAs"],
  ["embedding", "Embeddings"],
  ["vae", "VAEs"],
  ["custom_diffusion", "Custom diffusion"],
  ["upscaler", "Upscalers"],
]);

/**
 * What can be chosen, those of the right kind first. The right kind is that of the names that ship with Weft for this input; where
 * there are none, all are listed. Names that the server does not list (it is lost, or old) are there all the same.
 */
export function modelOptions(models: readonly ModelInfo[], names: readonly string[], nodeType: string, input: string): Option[] {
  const kinds = new Set(models.filter((model) => names.includes(model.name)).map((model) => model.kind));
  for (const kind of KIND_WORDS.keys()) if (kind !== "model" && (`${nodeType}_`.includes(`_${kind}_`) || input.includes(kind))) kinds.add(kind);
  if (nodeType === "load_vae") kinds.add("vae");
  const right = (model: ModelInfo) => kinds.size === 0 || kinds.has(model.kind) || names.includes(model.name);
  const rank = (model: ModelInfo) => (right(model) ? (model.bundled ? 1 : 0) : 2);
  const listed = [...models].sort((a, b) => rank(a) - rank(b) || a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name));
  const options: Option[] = listed.map((model) => ({
    key: model.name,
    label: model.name,
    aside: [model.family, bytes(model.bytes), model.fault ? "cannot be read" : ""].filter(Boolean).join(", "),
    group: !right(model) ? "Other kinds" : model.bundled ? "Ships with Weft" : (KIND_WORDS.get(model.kind) ?? model.kind),
  }));
  const known = new Set(models.map((model) => model.name));
  const missing = names.filter((name) => !known.has(name)).map((name) => ({ key: name, label: name, aside: "ships with Weft" }));
  return [...missing, ...options];
}

export interface ModelProps extends FieldProps {
  readonly options: readonly Option[];
}

export function ModelField(props: ModelProps) {
  const standing = props.value === undefined ? props.fallback : props.value;
  const text = typeof standing === "string" ? standing : "";
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const shown = text || (props.fallback === "" ? "none" : "choose one");
  const known = props.options.find((option) => option.key === text);
  return (
    <>
      <Box props={props} className={classes("field--list", open && "field--focus")}>
        {props.size !== "card" && <Icon name="disk" />}
        <button
          ref={button}
          {...aria(props)}
          type="button"
          aria-haspopup="dialog"
          aria-expanded={open}
          className="field__input field__button"
          aria-label={`${props.label}, ${shown}`}
          title={known?.aside ? `${text}: ${known.aside}` : text || undefined}
          disabled={props.readOnly}
          onClick={() => setOpen(true)}
          onKeyDown={(event) => {
            if (fieldKey(event, props)) return;
            if (event.key === "ArrowDown" || event.key === "Enter" || event.key === " ") {
              event.preventDefault();
              event.stopPropagation();
              setOpen(true);
            }
          }}
        >
          <span className={classes("cut", text === "" && "faint")}>{shown}</span>
          <Icon name="down" small />
        </button>
      </Box>
      {open && (
        <ModelPicker
          anchor={button.current?.parentElement ?? null}
          label={props.label}
          options={props.options}
          chosen={text}
          onTake={(name) => {
            setOpen(false);
            if (name !== text) props.onChange(name, { final: true });
            button.current?.focus();
          }}
          onClose={(back) => {
            setOpen(false);
            if (back) button.current?.focus();
          }}
        />
      )}
    </>
  );
}

interface ModelPickerProps {
  readonly anchor: HTMLElement | null;
  readonly label: string;
  readonly options: readonly Option[];
  readonly chosen?: string | undefined;
  onTake(name: string): void;
  onClose(back: boolean): void;
}

/** The list itself; a name, path or hub id that is not in it may be typed. */
export function ModelPicker(props: ModelPickerProps): ReactNode {
  return <Picker {...props} free width={320} empty="No model folder has such a name. Type a path or a hub id to take it as it is." />;
}
