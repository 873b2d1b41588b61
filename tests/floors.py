"""The floors of each package, written down once: an import goes down, or stays in its room.

A room is a subpackage or a file right below the package; its name here is that of the folder or the file. Rooms of one
floor do not know each other. `tests/test_house.py` holds the code to this, and the pages in docs/ begin with it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

FLOORS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "engine": (
        ("runner",),
        ("isolation",),
        ("running",),
        ("planning",),
        ("checking",),
        ("catalogue",),
        ("declaring",),
        ("cache",),
        ("values", "events"),
        ("errors", "filehash", "surroundings", "plain"),
    ),
    "graphs": (
        ("examples", "draw"),
        ("drawing",),
        ("builder", "form", "schema"),
        ("definitions",),
        ("document", "reader"),
        ("inputs",),
        ("jsontext", "png", "names"),
        ("problems", "limits", "pretty", "files", "order", "declarations"),
    ),
}
"""From the top down."""

PAIRS: frozenset[frozenset[str]] = frozenset(
    {
        # A document parses itself, and what reads it makes documents.
        frozenset({"weft.graphs.document", "weft.graphs.reader"}),
    }
)
"""Modules that need each other, each with its reason."""


def module_name(path: Path) -> str:
    """weft.engine.cache.disk for engine/cache/disk.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("weft", *parts)).removesuffix(".__init__")


def imports(tree: ast.AST, modules: frozenset[str]) -> Iterator[str]:
    """Every module of ours that a file imports, be it in a function or for type checkers alone."""
    for item in ast.walk(tree):
        if isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names if alias.name in modules)
        elif isinstance(item, ast.ImportFrom) and item.module:
            for alias in item.names:
                inner = f"{item.module}.{alias.name}"
                if inner in modules:
                    yield inner
                elif item.module in modules:
                    yield item.module


def arrows(package: str) -> dict[str, set[str]]:
    """Who imports whom within a package; what the package itself re-exports is for those outside and left away."""
    paths = {module_name(path): path for path in sorted((ROOT / package).rglob("*.py"))}
    modules = frozenset(paths)
    found = {name: set(imports(ast.parse(path.read_text("utf-8")), modules)) - {name} for name, path in paths.items()}
    del found[f"weft.{package}"]
    return found


def room(module: str) -> str:
    """cache for weft.engine.cache.disk."""
    return module.split(".")[2] if module.count(".") > 1 else ""


def upward(package: str) -> list[str]:
    """Arrows that do not go down."""
    floors = {name: number for number, names in enumerate(FLOORS[package]) for name in names}
    return [
        f"{source} imports {target}"
        for source, targets in arrows(package).items()
        for target in sorted(targets)
        if room(source) != room(target)
        and frozenset({source, target}) not in PAIRS
        and not floors[room(source)] < floors.get(room(target), -1)
    ]


def circles(package: str) -> list[list[str]]:
    """Groups of modules that need each other, by way of each other, but the justified pairs."""
    graph = {
        source: {target for target in targets if frozenset({source, target}) not in PAIRS}
        for source, targets in arrows(package).items()
    }
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        pending = list(graph[start])
        while pending:
            module = pending.pop()
            if module not in seen:
                seen.add(module)
                pending.extend(graph.get(module, ()))
        reach[start] = seen
    groups = {tuple(sorted({a} | {b for b in reach[a] if a in reach.get(b, ())})) for a in graph if a in reach[a]}
    return [list(group) for group in sorted(groups)]


def picture(package: str) -> str:
    """The floors as a page shows them, the top first."""
    rows = []
    for names in FLOORS[package]:
        rows.append("   ".join(f"{name}/" if (ROOT / package / name).is_dir() else name for name in names))
    return "\n".join(rows)
