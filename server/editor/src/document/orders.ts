/** Circles of a graph given as `node -> the nodes it depends on` (graphs/order.py); without recursion. */

export type Dependencies = ReadonlyMap<string, readonly string[]>;

/** The nodes, each after all that it depends on; nodes on a circle and what depends on one are left out. */
export function topological(dependencies: Dependencies): string[] {
  const waiting = new Map<string, number>();
  const users = new Map<string, string[]>();
  for (const node of dependencies.keys()) users.set(node, []);
  for (const [node, sources] of dependencies) {
    const known = new Set(sources.filter((source) => users.has(source)));
    waiting.set(node, known.size);
    for (const source of known) users.get(source)?.push(node);
  }
  const order = [...waiting].filter(([, count]) => count === 0).map(([node]) => node);
  for (let at = 0; at < order.length; at += 1) {
    for (const user of users.get(order[at] as string) ?? []) {
      const left = (waiting.get(user) ?? 0) - 1;
      waiting.set(user, left);
      if (left === 0) order.push(user);
    }
  }
  return order;
}

/**
 * One shortest circle of each knot of nodes that depend on each other. It begins with the node of its knot that comes first;
 * each depends on the next, the last on the first.
 */
export function cycles(dependencies: Dependencies): string[][] {
  if (topological(dependencies).length === dependencies.size) return [];
  const position = new Map([...dependencies.keys()].map((node, index) => [node, index]));
  const at = (node: string | undefined): number => position.get(node ?? "") ?? 0;
  const found: string[][] = [];
  for (const knot of knots(dependencies)) {
    const first = knot.reduce((a, b) => (at(b) < at(a) ? b : a));
    if (knot.length > 1 || dependencies.get(first)?.includes(first)) found.push(shortest(first, new Set(knot), dependencies));
  }
  return found.sort((a, b) => at(a[0]) - at(b[0]));
}

function shortest(first: string, knot: ReadonlySet<string>, dependencies: Dependencies): string[] {
  const cameFrom = new Map<string, string>();
  const queue = [first];
  for (const node of queue) {
    for (const source of dependencies.get(node) ?? []) {
      if (source === first) {
        const cycle = [node];
        while (cycle.at(-1) !== first) cycle.push(cameFrom.get(cycle.at(-1) ?? "") ?? first);
        return cycle.reverse();
      }
      if (knot.has(source) && !cameFrom.has(source)) {
        cameFrom.set(source, node);
        queue.push(source);
      }
    }
  }
  return [first];
}

/** The strongly connected parts, by Tarjan's algorithm with a stack of its own. */
function knots(dependencies: Dependencies): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const path: string[] = [];
  const onPath = new Set<string>();
  const calls: { node: string; sources: Iterator<string> }[] = [];
  const found: string[][] = [];
  const enter = (node: string): void => {
    low.set(node, index.size);
    index.set(node, index.size);
    path.push(node);
    onPath.add(node);
    calls.push({ node, sources: (dependencies.get(node) ?? [])[Symbol.iterator]() });
  };
  const lower = (node: string, value: number): void => void low.set(node, Math.min(low.get(node) ?? value, value));
  const leave = (node: string): void => {
    calls.pop();
    const caller = calls.at(-1);
    if (caller) lower(caller.node, low.get(node) ?? 0);
    if (low.get(node) !== index.get(node)) return;
    const knot = path.splice(path.lastIndexOf(node));
    for (const member of knot) onPath.delete(member);
    found.push(knot);
  };
  for (const root of dependencies.keys()) {
    if (index.has(root)) continue;
    enter(root);
    for (let call = calls.at(-1); call; call = calls.at(-1)) {
      const { node, sources } = call;
      const next = sources.next();
      if (next.done) leave(node);
      else if (!dependencies.has(next.value)) continue;
      else if (!index.has(next.value)) enter(next.value);
      else if (onPath.has(next.value)) lower(node, index.get(next.value) ?? 0);
    }
  }
  return found;
}
