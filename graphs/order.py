"""Walks over a graph given as `node -> the nodes it depends on`: linear in nodes and links, without recursion.

Nodes that something depends on but that are not keys themselves are ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

Dependencies = Mapping[str, Iterable[str]]


def topological(dependencies: Dependencies) -> list[str]:
    """The nodes, each after all that it depends on, else in the mapping's order.

    Nodes on a cycle, and all that depend on one, are left out: the result is shorter than `dependencies` exactly
    when there is a cycle.
    """
    waiting: dict[str, int] = {}
    users: dict[str, list[str]] = {node: [] for node in dependencies}
    for node, sources in dependencies.items():
        known = {source for source in sources if source in users}
        waiting[node] = len(known)
        for source in known:
            users[source].append(node)
    ready = deque(node for node, count in waiting.items() if count == 0)
    order: list[str] = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for user in users[node]:
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    return order


def needed_by(dependencies: Dependencies, node: str) -> set[str]:
    """A node and all that it depends on."""
    found: set[str] = set()
    stack = [node]
    while stack:
        id = stack.pop()
        if id not in found and id in dependencies:
            found.add(id)
            stack.extend(dependencies[id])
    return found


def cycles(dependencies: Dependencies) -> list[list[str]]:
    """One shortest cycle of each knot of nodes that depend on each other; empty for a graph that can run.

    A cycle begins with the node of its knot that comes first in the mapping; each node depends on the next, the last
    on the first.
    """
    if len(topological(dependencies)) == len(dependencies):
        return []
    position = {node: index for index, node in enumerate(dependencies)}
    found = []
    for knot in _knots(dependencies):
        first = min(knot, key=position.__getitem__)
        if len(knot) > 1 or first in dependencies[first]:
            found.append(_shortest_cycle(first, set(knot), dependencies))
    return sorted(found, key=lambda cycle: position[cycle[0]])


def _shortest_cycle(first: str, knot: set[str], dependencies: Dependencies) -> list[str]:
    """Breadth first from `first` inside its knot, until something depends on `first` again."""
    came_from: dict[str, str] = {}
    queue = deque([first])
    while queue:
        node = queue.popleft()
        for source in dependencies[node]:
            if source == first:
                cycle = [node]
                while cycle[-1] != first:
                    cycle.append(came_from[cycle[-1]])
                return cycle[::-1]
            if source in knot and source not in came_from:
                came_from[source] = node
                queue.append(source)
    raise AssertionError("a knot has a cycle through each of its nodes")


def _knots(dependencies: Dependencies) -> Iterator[list[str]]:
    """The strongly connected components, by Tarjan's algorithm with a stack of its own in place of the call stack."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    calls: list[tuple[str, Iterator[str]]] = []

    def enter(node: str) -> None:
        index[node] = low[node] = len(index)
        path.append(node)
        on_path.add(node)
        calls.append((node, iter(dependencies[node])))

    for root in dependencies:
        if root not in index:
            enter(root)
        while calls:
            node, sources = calls[-1]
            for source in sources:
                if source not in dependencies:
                    continue
                if source not in index:
                    enter(source)
                    break
                if source in on_path:
                    low[node] = min(low[node], index[source])
            else:
                calls.pop()
                if calls:
                    caller = calls[-1][0]
                    low[caller] = min(low[caller], low[node])
                if low[node] == index[node]:
                    start = len(path) - 1
                    while path[start] != node:
                        start -= 1
                    knot = path[start:]
                    del path[start:]
                    on_path.difference_update(knot)
                    yield knot
