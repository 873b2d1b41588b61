/** Types of ports as Python writes them, and which source fits which port, as the engine decides it (engine/declaring/types.py). */

export type TypeExpr =
  | { readonly kind: "any" }
  | { readonly kind: "none" }
  | { readonly kind: "name"; readonly name: string; readonly args: readonly TypeExpr[] }
  /** A letter that stands for one type at a whole node; `of` are those that it may be, none for any. */
  | { readonly kind: "variable"; readonly name: string; readonly of: readonly TypeExpr[] }
  | { readonly kind: "choice"; readonly values: readonly (string | number | boolean)[] }
  | { readonly kind: "union"; readonly arms: readonly TypeExpr[] };

const ANY: TypeExpr = { kind: "any" };
const NONE: TypeExpr = { kind: "none" };
const TOKEN = /\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_.]*|[[\],|]|\.\.\.)/y;
const parsed = new Map<string, TypeExpr>();

/** The type that a text names. What is no type counts as a name that nothing but itself fits. */
export function parseType(text: string): TypeExpr {
  const known = parsed.get(text);
  if (known) return known;
  let result: TypeExpr;
  try {
    result = new Parser(text).all();
  } catch {
    result = { kind: "name", name: text, args: [] };
  }
  if (parsed.size > 2000) parsed.clear();
  parsed.set(text, result);
  return result;
}

class Parser {
  private readonly tokens: string[] = [];
  private at = 0;

  constructor(text: string) {
    TOKEN.lastIndex = 0;
    let end = 0;
    for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
      this.tokens.push(match[1] ?? "");
      end = TOKEN.lastIndex;
    }
    if (text.slice(end).trim() !== "" || this.tokens.length === 0) throw new SyntaxError(text);
  }

  all(): TypeExpr {
    const type = this.union();
    if (this.at < this.tokens.length) throw new SyntaxError("more than a type");
    return type;
  }

  private union(): TypeExpr {
    const arms = [this.arm()];
    while (this.tokens[this.at] === "|") {
      this.at += 1;
      arms.push(this.arm());
    }
    return unionOf(arms);
  }

  private arm(): TypeExpr {
    const token = this.tokens[this.at] ?? "";
    this.at += 1;
    if (/^["']/.test(token)) return { kind: "choice", values: [token.slice(1, -1)] };
    if (/^-?\d/.test(token)) return { kind: "choice", values: [Number(token)] };
    if (token === "True" || token === "False") return { kind: "choice", values: [token === "True"] };
    if (token === "any") return ANY;
    if (token === "None") return NONE;
    if (!/^[A-Za-z_]/.test(token)) throw new SyntaxError(`not a type: ${token}`);
    if (this.tokens[this.at] !== "[") return /^[A-Z]$/.test(token) ? { kind: "variable", name: token, of: [] } : { kind: "name", name: token, args: [] };
    this.at += 1;
    const args: TypeExpr[] = [];
    while (this.tokens[this.at] !== "]") {
      if (args.length > 0 && this.tokens[this.at] === ",") this.at += 1;
      if (this.tokens[this.at] === "...") {
        this.at += 1;
        continue;
      }
      args.push(this.union());
    }
    this.at += 1;
    return { kind: "name", name: token, args };
  }
}

/** Arms in a row that are values are one choice: `"auto" | "cpu"`. */
function unionOf(arms: readonly TypeExpr[]): TypeExpr {
  const joined: TypeExpr[] = [];
  for (const arm of arms) {
    const last = joined.at(-1);
    if (arm.kind === "choice" && last?.kind === "choice") joined[joined.length - 1] = { kind: "choice", values: [...last.values, ...arm.values] };
    else joined.push(arm);
  }
  const [first] = joined;
  return joined.length === 1 && first ? first : { kind: "union", arms: joined };
}

/** Whether a type is `list` or `list[X]`. */
export function isListType(type: TypeExpr): boolean {
  return type.kind === "name" && type.name === "list";
}

/** `X` of `list[X]`; anything for a bare `list`. */
export function itemOf(type: TypeExpr): TypeExpr {
  return type.kind === "name" ? (type.args[0] ?? ANY) : ANY;
}

/** A choice by what its values are, when they are of one kind. */
function widened(type: TypeExpr): TypeExpr {
  if (type.kind !== "choice") return type;
  const kinds = new Set(type.values.map((value) => (typeof value === "number" ? (Number.isInteger(value) ? "int" : "float") : typeof value)));
  const [kind] = kinds;
  if (kinds.size !== 1 || !kind) return ANY;
  return { kind: "name", name: kind === "string" ? "str" : kind === "boolean" ? "bool" : kind, args: [] };
}

/** Whether a value of the type `source` may be wired into a port of the type `port`. */
export function accepts(port: TypeExpr, source: TypeExpr): boolean {
  if (port.kind === "any" || source.kind === "any" || isNamed(port, "object")) return true;
  if (source.kind === "union") return source.arms.every((arm) => accepts(port, arm));
  if (port.kind === "union") return port.arms.some((arm) => accepts(arm, source));
  if (port.kind === "variable") return port.of.length === 0 || port.of.some((option) => accepts(option, source));
  if (source.kind === "variable") return true;
  const wide = widened(port);
  const given = widened(source);
  if (wide.kind === "any" || given.kind === "any") return true;
  if (wide.kind === "none" || given.kind === "none") return wide.kind === given.kind;
  if (wide.kind !== "name" || given.kind !== "name") return false;
  if (isListType(wide) || isListType(given)) {
    return isListType(wide) && isListType(given) && accepts(itemOf(wide), itemOf(given));
  }
  return wide.name === given.name || (kinds.get(given.name)?.has(wide.name) ?? false);
}

/** The names that a name fits beside itself. The server's table replaces these (`GET /api/v1/types`). */
let kinds: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["int", new Set(["float"])],
  ["str", new Set(["Path", "PurePath"])],
]);

/** Takes over which names of types go together, as the server says it; what it does not name fits itself alone. */
export function learnKinds(table: { readonly [name: string]: { readonly fits: readonly string[] } }): void {
  const found = new Map(kinds);
  for (const [name, { fits: others }] of Object.entries(table)) found.set(name, new Set([...(found.get(name) ?? []), ...others]));
  kinds = found;
}

/** A port as the server lists it: the text of its type, and what its letters may stand for. */
export interface PortType {
  readonly type: string;
  readonly variables?: { readonly [letter: string]: readonly string[] };
}

const limited = new WeakMap<PortType, TypeExpr>();

/** The type of a port, its letters limited to what they may stand for. */
export function portExpr(port: PortType): TypeExpr {
  const { variables } = port;
  if (variables === undefined) return parseType(port.type);
  const known = limited.get(port);
  if (known) return known;
  const within = (one: TypeExpr): TypeExpr => {
    if (one.kind === "variable") return { ...one, of: (Object.hasOwn(variables, one.name) ? (variables[one.name] ?? []) : []).map(parseType) };
    return one.kind === "name" ? { ...one, args: one.args.map(within) } : one.kind === "union" ? { ...one, arms: one.arms.map(within) } : one;
  };
  const found = within(parseType(port.type));
  limited.set(port, found);
  return found;
}

/** What a port takes in words that `fits` reads: a letter with limits is what it may be. */
export function takesText(port: PortType): string {
  const spelled = (one: TypeExpr): TypeExpr => {
    if (one.kind === "variable" && one.of.length > 0) return one.of.length === 1 && one.of[0] ? one.of[0] : { kind: "union", arms: one.of };
    return one.kind === "name" ? { ...one, args: one.args.map(spelled) } : one.kind === "union" ? { ...one, arms: one.arms.map(spelled) } : one;
  };
  return port.variables === undefined ? port.type : typeText(spelled(portExpr(port)));
}

function isNamed(type: TypeExpr, name: string): boolean {
  return type.kind === "name" && type.name === name;
}

/** A type as a person writes it. */
export function typeText(type: TypeExpr): string {
  switch (type.kind) {
    case "any":
      return "any";
    case "none":
      return "None";
    case "variable":
      return type.name;
    case "choice":
      return type.values.map((value) => (typeof value === "string" ? `"${value}"` : typeof value === "boolean" ? (value ? "True" : "False") : String(value))).join(" | ");
    case "union":
      return type.arms.map(typeText).join(" | ");
    case "name":
      return type.args.length > 0 ? `${type.name}[${type.args.map(typeText).join(", ")}]` : type.name;
  }
}

/** Whether a type holds a letter that stands for others. */
export function isGeneric(type: TypeExpr): boolean {
  if (type.kind === "variable") return true;
  if (type.kind === "union") return type.arms.some(isGeneric);
  return type.kind === "name" && type.args.some(isGeneric);
}

/** The type with its letters replaced by what they stand for; anything where nothing was wired. */
export function substituted(type: TypeExpr, bound: ReadonlyMap<string, TypeExpr>): TypeExpr {
  if (type.kind === "variable") return bound.get(type.name) ?? ANY;
  if (type.kind === "union") return unionOf(type.arms.map((arm) => substituted(arm, bound)));
  return type.kind === "name" && type.args.length > 0 ? { ...type, args: type.args.map((arg) => substituted(arg, bound)) } : type;
}

/**
 * Like `accepts`, but a letter must stand for one type at the whole node. The first source binds it; a later one fits, or is
 * one that all before fit.
 */
export function bind(port: TypeExpr, source: TypeExpr, bound: Map<string, TypeExpr>): boolean {
  if (port.kind === "variable") {
    if (!accepts(port, source)) return false;
    const before = bound.get(port.name) ?? source;
    if (before.kind === "any" || accepts(before, source)) bound.set(port.name, before);
    else if (accepts(source, before)) bound.set(port.name, source);
    else return false;
    return true;
  }
  if (isListType(port) && isListType(source) && itemOf(port).kind === "variable") return bind(itemOf(port), itemOf(source), bound);
  if (port.kind === "union") {
    if (port.arms.some((arm) => arm.kind !== "variable" && accepts(arm, source))) return true;
    return port.arms.some((arm) => arm.kind === "variable" && bind(arm, source, bound));
  }
  return accepts(port, source);
}

/** Whether what an output makes may go to an input as a whole. */
export function fits(output: string, input: string): boolean {
  return accepts(parseType(input), parseType(output));
}

/** Why it may not, in the fewest words: "Image, not Conditioning". "" where it may. */
export function whyNot(output: string, input: string): string {
  if (fits(output, input)) return "";
  return `${plainType(output)}, not ${plainType(input)}`;
}

/** A type in words that are short enough for a label: a long choice is "a choice". */
export function plainType(text: string): string {
  const type = parseType(text);
  return type.kind === "choice" && text.length > 40 ? "a choice" : text;
}
