/** What a document has to look like before anything else can be said of it; the sentences are the server's (graphs/reader.py). */
import { definitionNameFault } from "./names";
import { LIMITS, grouped } from "./json";
import { near } from "./near";
import { JsonNumber, isInteger, numberOf } from "./numbers";
import { entriesOf, has, isList, isObject, keysOf, own } from "./objects";
import { type Problem, problem, shown } from "./problem";
import type { Json, JsonObject } from "./types";

const FORMAT = 1;
const MODES = ["mute", "bypass"];
const NODE_KEYS = new Set(["type", "version", "mode", "retry", "timeout", "inputs"]);
const PORT_KEYS = new Set(["type", "default", "description"]);
const OUTPUT_KEYS = new Set(["link", "type", "description"]);
/** How deep a literal may nest: what stands around an input in a document takes the other five brackets. */
const ROOM = LIMITS.depth - 5;
const NODE_ID = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

class Enough extends Error {}

/** Every fault of form: the document cannot be opened with any. */
export function formFaults(data: Json): Problem[] {
  const reader = new Reader();
  try {
    reader.workflow(data);
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  return reader.problems;
}

/** Why a text cannot be the id of a node, as the server says it; null where it can. */
export function nodeIdFault(id: string): string | null {
  if (NODE_ID.test(id)) return null;
  const length = Array.from(id).length;
  if (length > 64) return `The node id ${shown(id)} has ${length} characters; at most 64 are allowed.`;
  return `The node id ${shown(id)} is not a letter or _ followed by letters, digits, _ or -.`;
}

class Reader {
  readonly problems: Problem[] = [];

  workflow(data: Json): void {
    if (!isObject(data)) {
      this.fault(`A workflow is an object, not ${kindOf(data)}.`, { given: kindOf(data), expected: "an object" });
      return;
    }
    this.format(data);
    if (!has(data, "nodes") && this.problems.length === 0) this.fault('There is no "nodes" in the document.');
    const nodes = this.object(data, "nodes", "nodes by id");
    const count = keysOf(nodes).length;
    if (count > LIMITS.nodes) {
      this.tooMany(`The document has ${grouped(count)} nodes; at most ${grouped(LIMITS.nodes)} are allowed.`, count);
    }
    for (const [id, node] of entriesOf(nodes)) this.node(id, node);
    this.definitions(data, count);
    for (const [name, item] of entriesOf(this.object(data, "parameters", "parameters by name"))) this.parameter(name, item);
    this.literal(this.object(data, "meta", "facts by name"), "meta", 1);
    this.literal(this.object(data, "ui", "what an editor keeps, by node"), "ui", 1);
    const known = new Set(["weft", "meta", "nodes", "definitions", "parameters", "ui"]);
    for (const [key, value] of entriesOf(data)) if (!known.has(key)) this.literal(value, key, 1);
  }

  private fault(message: string, more: Partial<Problem> = {}): void {
    this.problems.push(problem(more.code ?? "bad_document", message, more));
    if (this.problems.length >= LIMITS.problems) throw new Enough();
  }

  private tooMany(message: string, count: number): never {
    this.fault(message, { code: "too_large", given: count, expected: LIMITS.nodes });
    throw new Enough();
  }

  private format(data: JsonObject): void {
    const version = own(data, "weft");
    if (version === undefined) {
      this.fault('There is no "weft": 1 in the document, so it is no workflow of ours.', { expected: FORMAT });
    } else if (isInteger(version) && Number(numberOf(version)) > FORMAT) {
      this.fault(`The document has format ${shown(version)}, made by a newer weft; this one reads ${FORMAT}.`, { given: version, expected: FORMAT });
    } else if (version !== FORMAT) {
      this.fault(`"weft" is the version of the format, ${FORMAT}, not ${shown(version)}.`, { given: shown(version), expected: FORMAT });
    }
  }

  private object(data: JsonObject, key: string, what: string): JsonObject {
    const value = own(data, key);
    if (value === undefined) return {};
    if (isObject(value)) return value;
    this.fault(`"${key}" is an object with ${what}, not ${kindOf(value)}.`, { given: kindOf(value) });
    return {};
  }

  private definitions(data: JsonObject, nodes: number): void {
    const definitions = this.object(data, "definitions", "graphs by name");
    let count = nodes + keysOf(definitions).length;
    for (const [, item] of entriesOf(definitions)) {
      const body = isObject(item) ? own(item, "nodes") : undefined;
      if (isObject(body)) count += keysOf(body).length;
    }
    if (count > LIMITS.nodes) {
      this.tooMany(`The document and its definitions have ${grouped(count)} nodes; at most ${grouped(LIMITS.nodes)} may be.`, count);
    }
    for (const [name, item] of entriesOf(definitions)) this.definition(name, item);
  }

  private definition(name: string, data: Json): void {
    const fault = definitionNameFault(name);
    if (fault !== null) this.fault(fault);
    if (!isObject(data)) {
      this.fault(`The definition ${shown(name)} is an object with nodes, not ${kindOf(data)}.`, { given: kindOf(data) });
      return;
    }
    if (!has(data, "nodes")) this.fault(`There are no "nodes" in the definition ${shown(name)}.`);
    const inside = new Reader();
    try {
      inside.body(data);
    } catch (error) {
      if (!(error instanceof Enough)) throw error;
    }
    for (const one of inside.problems) {
      const where = one.node ? `, node ${shown(one.node)}` : "";
      const { code, given, expected } = one;
      this.fault(`Definition ${shown(name)}${where}: ${one.message}`, { code, given, expected });
    }
  }

  private body(data: JsonObject): void {
    const description = own(data, "description");
    if (description !== undefined && typeof description !== "string") this.fault(`"description" is text, not ${kindOf(description)}.`);
    for (const [key, item] of entriesOf(this.object(data, "inputs", "inputs by name"))) this.port(key, item);
    for (const [id, node] of entriesOf(this.object(data, "nodes", "nodes by id"))) this.node(id, node);
    for (const [key, item] of entriesOf(this.object(data, "outputs", "outputs by name"))) this.output(key, item);
    this.literal(this.object(data, "ui", "what an editor keeps"), "ui", 1);
    const known = new Set(["description", "inputs", "nodes", "outputs", "ui"]);
    for (const [key, value] of entriesOf(data)) if (!known.has(key)) this.literal(value, key, 1);
  }

  private port(name: string, data: Json): void {
    if (name === "" || !isObject(data)) {
      this.fault(`The input ${shown(name)} is an object like {"type": "Model"}, not ${kindOf(data)}.`);
      return;
    }
    this.typed(name, data);
    const normal = own(data, "default");
    if (normal !== undefined) {
      const fault = inputFault(normal);
      if (fault !== null) this.fault(`The default cannot be read: ${fault}.`, { input: name });
      else if (isAnyLink(normal) || (isList(normal) && normal.some(isAnyLink))) {
        this.fault(`The default of the input ${shown(name)} is a link; it can be data alone.`);
      }
    }
    for (const [key, value] of entriesOf(data)) if (!PORT_KEYS.has(key)) this.literal(value, key, 1);
  }

  private output(name: string, data: Json): void {
    const link = isObject(data) ? own(data, "link") : undefined;
    if (name === "" || !isObject(data) || typeof link !== "string") {
      this.fault(`The output ${shown(name)} is an object like {"link": "node.output"}, not ${shown(data)}.`);
      return;
    }
    this.typed(name, data);
    const fault = linkFault(link);
    if (fault !== null) this.fault(`The link cannot be read: ${fault}.`, { input: name });
    for (const [key, value] of entriesOf(data)) if (!OUTPUT_KEYS.has(key)) this.literal(value, key, 1);
  }

  private typed(name: string, data: JsonObject): void {
    const type = own(data, "type") ?? null;
    if (type !== null && (typeof type !== "string" || Array.from(type).length > 200)) {
      this.fault(`The "type" of ${shown(name)} is the name of a type, not ${shown(type)}.`);
    }
    const description = own(data, "description") ?? "";
    if (typeof description !== "string" || (has(data, "description") && data.description === null)) {
      this.fault(`The "description" of ${shown(name)} is text, not ${kindOf(data.description ?? null)}.`);
    }
  }

  private node(id: string, data: Json): void {
    const fault = nodeIdFault(id);
    if (fault !== null) this.fault(fault, { node: shown(id), given: shown(id, 100) });
    if (!isObject(data)) {
      this.fault(`A node is an object with "type" and "inputs", not ${kindOf(data)}.`, { node: id, given: kindOf(data) });
      return;
    }
    this.nodeKeys(id, data);
    const inputs = own(data, "inputs");
    if (inputs !== undefined && !isObject(inputs)) {
      this.fault(`"inputs" is an object with values and links by name, not ${kindOf(inputs)}.`, { node: id, given: kindOf(inputs) });
    } else for (const [name, value] of entriesOf(inputs as JsonObject | undefined)) this.input(id, name, value);
    for (const [key, value] of entriesOf(data)) if (!NODE_KEYS.has(key)) this.literal(value, key, 3, id);
  }

  private nodeKeys(id: string, data: JsonObject): void {
    const type = own(data, "type");
    if (typeof type !== "string" || type === "") {
      let message = type === undefined ? 'The node has no "type".' : `"type" is a name, not ${shown(type)}.`;
      const misspelt = type === undefined ? near("type", keysOf(data)) : null;
      if (misspelt !== null) message += ` Is ${shown(misspelt)} meant to be it?`;
      this.fault(message, { node: id });
    }
    const version = own(data, "version") ?? null;
    if (version !== null && !(isInteger(version) && Number(numberOf(version)) >= 1)) {
      this.fault(`"version" is a whole number from 1, not ${shown(version)}.`, { node: id, given: shown(version) });
    }
    const mode = own(data, "mode") ?? null;
    if (mode !== null && !MODES.includes(mode as string)) {
      const suggestion = typeof mode === "string" ? near(mode, MODES) : null;
      this.fault(`"mode" is "mute" or "bypass", not ${shown(mode)}.`, { node: id, given: shown(mode), expected: MODES, suggestion });
    }
    const retry = own(data, "retry") ?? null;
    const times = Number(numberOf(retry));
    if (retry !== null && !(isInteger(retry) && times >= 0 && times <= 100)) {
      this.fault(`"retry" is a whole number from 0 to 100, not ${shown(retry)}.`, { node: id, given: shown(retry) });
    }
    const timeout = own(data, "timeout") ?? null;
    if (timeout !== null && !(numberOf(timeout) !== null && Number(numberOf(timeout)) > 0)) {
      this.fault(`"timeout" is a number of seconds above 0, not ${shown(timeout)}.`, { node: id, given: shown(timeout) });
    }
  }

  private input(node: string, name: string, value: Json): void {
    if (name === "") {
      this.fault(`The name of an input is text, not ${shown(name)}.`, { node });
      return;
    }
    const depth = deeperThan(value, ROOM + (isList(value) ? 1 : 0));
    const fault = inputFault(value);
    if (fault !== null) this.fault(`The input cannot be read: ${fault}.`, { node, input: name });
    else if (depth) this.fault("The input is nested too deep, or inside itself.", { code: "too_large", node, input: name });
  }

  private parameter(name: string, data: Json): void {
    if (!isObject(data) || typeof own(data, "input") !== "string") {
      this.fault(`The parameter ${shown(name)} is an object like {"input": "node.input"}, not ${shown(data)}.`, { given: shown(data) });
      return;
    }
    this.literal(data, `parameters.${name}`, 1);
  }

  private literal(value: Json, key: string, around: number, node: string | null = null): void {
    if (deeperThan(value, LIMITS.depth - around)) this.fault(`"${key}" is nested too deep, or inside itself.`, { code: "too_large", node });
  }
}

/** What JSON calls the type of a value. */
function kindOf(value: Json): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return "true or false";
  if (typeof value === "number" || value instanceof JsonNumber) return "a number";
  if (typeof value === "string") return "text";
  return isList(value) ? "a list" : "an object";
}

/** Whether brackets in a value nest more than so deep. */
function deeperThan(value: Json, room: number): boolean {
  if (!isList(value) && !isObject(value)) return false;
  if (room <= 0) return true;
  return isList(value) ? value.some((item) => deeperThan(item, room - 1)) : keysOf(value).some((key) => deeperThan(value[key] as Json, room - 1));
}

function isAnyLink(value: Json): boolean {
  return isObject(value) && has(value, "link");
}

/** Why a value cannot be an input, or null. */
export function inputFault(value: Json): string | null {
  if (!isList(value)) return itemFault(value);
  for (const item of value) {
    const fault = itemFault(item);
    if (fault !== null) return fault;
  }
  return null;
}

function itemFault(value: Json): string | null {
  if (isObject(value)) {
    if (has(value, "link")) {
      const other = keysOf(value).find((key) => key !== "link");
      if (other !== undefined) return `a link has no key ${shown(other)}; a literal that looks like one is {"value": ...}`;
      const link = own(value, "link");
      if (typeof link !== "string") return `a link is the text "node" or "node.output", not ${shown(link)}`;
      return linkFault(link);
    }
    if (has(value, "value") && keysOf(value).length === 1) return null;
  }
  if (!holdsLink(value)) return null;
  return 'a link stands alone or directly in a list; a literal that looks like one is {"value": ...}';
}

function linkFault(text: string): string | null {
  const dot = text.indexOf(".");
  const good = text !== "" && dot !== 0 && dot !== text.length - 1;
  return good ? null : `${shown(text)} names no output; write "node" or "node.output"`;
}

function holdsLink(value: Json): boolean {
  if (isList(value)) return value.some(holdsLink);
  return isObject(value) && (has(value, "link") || keysOf(value).some((key) => holdsLink(value[key] as Json)));
}
