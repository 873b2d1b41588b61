/** Links by keyboard: what fits, in a numbered list. */
import { fits, isListType, itemOf, parseType, takesText, typeText } from "../catalogue/typeexpr";
import { canPin } from "../catalogue/pins";
import { graphOf, inputsOf, upstream } from "../document/graph";
import { entriesOf, has, isList, own } from "../document/objects";
import { here, type Here } from "./acts";
import { useCanvas, type ChoiceState, type End } from "./canvasStore";
import { useScene } from "./sceneStore";
import { connectEnds } from "./wireActs";

type Option = ChoiceState["options"][number];

/** What goes into one input of a node: the outputs that fit, the nearest first. */
function sources(now: Here, node: string, input: string, type: string): Option[] {
  const wanted = parseType(type);
  const many = isListType(wanted);
  const item = many ? typeText(itemOf(wanted)) : type;
  const value = own(inputsOf(own(now.nodes, node)), input);
  const index = many ? (isList(value) ? value.length : 0) : null;
  const to: End = { node, port: input, index, side: "in", type };
  const { boxes } = useScene.getState();
  const at = boxes.get(node);
  const found: { option: Option; far: number }[] = [];
  const offer = (from: End, label: string): void => {
    const box = boxes.get(from.node);
    const far = at === undefined || box === undefined ? 0 : Math.hypot(box.x - at.x, box.y - at.y);
    found.push({ option: { label, aside: `to ${input}`, type: from.type, run: () => connectEnds(from, to) }, far });
  };
  for (const [id, spec] of entriesOf(now.nodes)) {
    if (id === node || upstream(now.nodes, [id]).has(node)) continue;
    for (const output of now.catalogue.typeOf(now.document, spec)?.outputs ?? []) {
      if (fits(output.type, item) || fits(output.type, type)) offer({ node: id, port: output.name, index: null, side: "out", type: output.type }, `${id}.${output.name}`);
    }
  }
  if (now.place !== null) {
    for (const output of now.catalogue.typeOf(now.document, now.place)?.inputs ?? []) {
      if (fits(output.type, item)) offer({ node: "#inputs", port: output.name, index: null, side: "out", type: output.type }, `inputs.${output.name}`);
    }
  }
  return found.toSorted((a, b) => a.far - b.far).map((one) => one.option);
}

/** Where one output of a node may go. */
function sinks(now: Here, node: string, output: string, type: string): Option[] {
  const from: End = { node, port: output, index: null, side: "out", type };
  const above = upstream(now.nodes, [node]);
  const found: Option[] = [];
  for (const [id, spec] of entriesOf(now.nodes)) {
    if (above.has(id)) continue;
    for (const input of now.catalogue.typeOf(now.document, spec)?.inputs ?? []) {
      const takes = takesText(input);
      const wanted = parseType(takes);
      const many = isListType(wanted);
      const value = own(inputsOf(spec), input.name);
      if (value !== undefined && !many) continue;
      if (canPin(input) && input.type !== type) continue;
      if (!fits(type, many ? typeText(itemOf(wanted)) : takes)) continue;
      const to: End = { node: id, port: input.name, index: many ? (isList(value) ? value.length : 0) : null, side: "in", type: input.type };
      found.push({ label: `${id}.${input.name}`, aside: `from ${output}`, type, run: () => connectEnds(from, to) });
    }
  }
  return found;
}

function show(node: string, title: string, options: readonly Option[]): void {
  const card = document.querySelector(`[data-card="${CSS.escape(node)}"]`)?.getBoundingClientRect();
  const screen = card === undefined ? { x: window.innerWidth / 2, y: window.innerHeight / 3 } : { x: card.right + 8, y: card.top };
  useCanvas.getState().set({ choice: { screen, title, options: options.slice(0, 60) } });
}

/** `L`: what the node in focus may be linked with, what it needs first. */
export function linkNode(node: string): boolean {
  const now = here();
  const spec = now === null ? undefined : own(graphOf(now.document, now.place).nodes, node);
  if (now === null || spec === undefined) return false;
  const type = now.catalogue.typeOf(now.document, spec);
  const open = (type?.inputs ?? []).filter((input) => !canPin(input) && (!has(inputsOf(spec), input.name) || input.many === true));
  const needed = open.filter((input) => input.required), other = open.filter((input) => !input.required);
  const options = [
    ...needed.flatMap((input) => sources(now, node, input.name, takesText(input))),
    ...(type?.outputs ?? []).flatMap((output) => sinks(now, node, output.name, output.type)),
    ...other.flatMap((input) => sources(now, node, input.name, takesText(input))),
  ];
  show(node, `Link ${node}`, options);
  return true;
}

/** What fits one input, as a list. */
export function linkInput(node: string, input: string): void {
  const now = here();
  const type = now?.catalogue.input(now.document, now.place, node, input);
  if (now === null || type === undefined) return;
  show(node, `${node}.${input} from`, sources(now, node, input, takesText(type)));
}
