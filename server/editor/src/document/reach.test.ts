import { expect, test } from "vitest";
import { downstream, links, upstream } from "./graph";
import type { Nodes } from "./types";

/** Each node takes from up to three others, some of which are not there. */
function graph(count: number, seed: number): Nodes {
  let state = seed;
  const random = (below: number) => (state = (state * 1103515245 + 12345) % 2147483648) % below;
  const nodes: Record<string, unknown> = {};
  for (let at = 0; at < count; at += 1) {
    const list = Array.from({ length: random(4) }, () => ({ link: `n${random(count + 2)}.out` }));
    nodes[`n${at}`] = { type: "t", inputs: { list } };
  }
  return nodes as unknown as Nodes;
}

/** The same by the plainest way. */
function plain(nodes: Nodes, from: string, up: boolean): string[] {
  const found = new Set(Object.hasOwn(nodes, from) ? [from] : []);
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { source, target } of links(nodes)) {
      const [near, far] = up ? [target, source] : [source, target];
      if (found.has(near) && Object.hasOwn(nodes, far)) found.add(far);
    }
  }
  return [...found].sort();
}

test("what a node depends on, and what depends on it", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const nodes = graph(seed, seed);
    for (const id of [...Object.keys(nodes), "gone", "__proto__"]) {
      expect([...upstream(nodes, [id])].sort()).toEqual(plain(nodes, id, true));
      expect([...downstream(nodes, [id])].sort()).toEqual(plain(nodes, id, false));
    }
  }
});

test("what depends on a node is found once for a graph, and what it needs is found without the rest", () => {
  let reads = 0;
  const count = 2000;
  const chain: Record<string, unknown> = {};
  for (let at = 0; at < count; at += 1) {
    const inputs = at % 4 === 0 ? {} : { a: { link: `n${at - 1}` } };
    chain[`n${at}`] = Object.defineProperty({ inputs }, "type", { get: () => ((reads += 1), "t"), enumerable: true });
    Object.defineProperty(chain[`n${at}`], "inputs", { get: () => ((reads += 1), inputs), enumerable: true });
  }
  const nodes = chain as unknown as Nodes;
  for (const id of Object.keys(chain)) {
    expect(upstream(nodes, [id]).size).toBeLessThanOrEqual(4);
    expect(downstream(nodes, [id]).size).toBeLessThanOrEqual(4);
  }
  expect(reads).toBeLessThan(count * 20);
});
