"""The floors of each package, written down once: an import goes down, or stays in its room.

A room is a subpackage or a file right below the package, named here as the folder or the file is; a part of a
subpackage that stands on another floor than the rest has its own name. Rooms of one floor do not know each other.
`tests/test_house.py` holds the code to this, and the pages in docs/ begin with it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

FLOORS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "engine": (
        (
            "forecaster",
            "reasons",
            "runner",
        ),
        ("isolation", "progress"),
        ("running",),
        ("planning",),
        ("checking",),
        ("catalogue",),
        ("declaring",),
        ("cache",),
        ("ownership",),
        ("values", "events"),
        ("errors", "filehash", "surroundings", "importing", "plain", "sizes", "buffers"),
    ),
    "graphs": (
        ("notebook",),
        ("examples", "draw", "metadata", "pythontext"),
        ("drawing",),
        ("builder", "form", "schema"),
        ("definitions",),
        ("document", "reader"),
        ("inputs",),
        ("pictures",),
        ("jsontext", "png", "exif", "names", "attempts", "beside"),
        ("problems", "operators", "limits", "pretty", "files", "order", "showing"),
    ),
    "nodes": (
        ("shapes.measure_variants",),
        ("shapes.measure", "shapes.training"),
        ("__init__",),
        ("train", "data"),
        ("datasets",),
        ("training",),
        ("techniques",),
        ("basic",),
        ("checks", "listing"),
        ("nets",),
        ("sampling",),
        ("weights",),
        ("prompts",),
        ("values.techniques",),
        ("technique",),
        ("hints",),
        ("values",),
        ("shapes",),
        ("models",),
        ("images",),
        ("lazy",),
    ),
    "server": (
        ("cli",),
        ("client", "serving"),
        ("api",),
        ("keeping",),
        ("workers",),
        ("live", "access", "settings"),
        ("guard",),
        ("answering",),
        ("problems",),
        ("store", "files", "documents", "logs", "metrics"),
        ("scrub", "tokens", "heads"),
    ),
}
"""From the top down."""

PAIRS: frozenset[frozenset[str]] = frozenset(
    {
        # A document parses itself, and what reads it makes documents.
        frozenset({"weft.graphs.document", "weft.graphs.reader"}),
        # A hook is given the run, and a run calls the hooks of its techniques.
        frozenset({"weft.nodes.technique.hooks", "weft.nodes.sampling.run"}),
        # A model is a description that gives its parts, and parts are made from a description.
        frozenset({"weft.nodes.values.model", "weft.nodes.models.parts"}),
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


def room(package: str, module: str) -> str:
    """cache for weft.engine.cache.disk; of rooms within rooms the inner one."""
    parts = module.split(".")[2:]
    named = {name for names in FLOORS[package] for name in names}
    inner = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in inner if name in named), parts[0] if parts else "__init__")


def upward(package: str) -> list[str]:
    """Arrows that do not go down. A subpackage may hand on what its own parts on higher floors have."""
    floors = {name: number for number, names in enumerate(FLOORS[package]) for name in names}
    wrong = []
    for source, targets in arrows(package).items():
        for target in sorted(targets):
            above, below = room(package, source), room(package, target)
            down = above == below or floors[above] < floors.get(below, -1)
            if not down and frozenset({source, target}) not in PAIRS and not target.startswith(f"{source}."):
                wrong.append(f"{source} imports {target}")
    return wrong


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


def _purpose(package: str, name: str) -> str:
    """The first sentence of a room's docstring, without its full stop."""
    path = ROOT / package / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split())
    return re.split(r"(?<=[^.])\.(?: |$)", text)[0]


def picture(package: str) -> str:
    """The floors as a page shows them, the top first; a line between two floors, and what each room is for."""
    rows: list[str] = []
    for names in FLOORS[package]:
        rooms = [name for name in names if name != "__init__"]
        for name in rooms:
            shown = name.replace(".", "/") + ("/" if (ROOT / package / name.replace(".", "/")).is_dir() else ".py")
            rows += textwrap.wrap(
                _purpose(package, name), 118, initial_indent=f"{shown:<{WIDTH}}", subsequent_indent=" " * WIDTH
            )
        if rooms:
            rows.append("-" * 118)
    return "\n".join(rows[:-1])


WIDTH = 27
PAGES = {
    name: f"docs/{page}.md"
    for name, page in {"engine": "engine", "graphs": "graphs", "nodes": "inside-nodes", "server": "server"}.items()
}
"""The page of each package, which begins with its picture."""
BEGIN, END = "<!-- floors of {}/ -->\n```\n", "\n```\n<!-- end of floors -->"


def page(package: str) -> str:
    """A package's page with its picture as it is now."""
    text = (ROOT / PAGES[package]).read_text("utf-8")
    begin = BEGIN.format(package)
    before, found, rest = text.partition(begin)
    if not found or END not in rest:
        raise ValueError(f"{PAGES[package]} has no place for the floors of {package}: {begin!r} ... {END!r}")
    return before + begin + picture(package) + rest[rest.index(END) :]


if __name__ == "__main__":
    for package in PAGES:
        (ROOT / PAGES[package]).write_text(page(package), "utf-8")
