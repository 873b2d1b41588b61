"""The node reference, generated from the code (and compared with it in CI, `--check`).

python -m weft.engine.catalogue.reference docs/nodes.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.catalogue.code import OWN
from weft.engine.catalogue.describe import json_default
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import Port
from weft.engine.declaring.types import describe
from weft.graphs.files import write_atomic

_HEAD = """# Nodes

Generated from the nodes' signatures and docstrings by `make docs`; do not edit. `weft nodes NAME` shows the same for
what is installed, packs included.
"""


def reference(catalogue: Catalogue) -> str:
    """Markdown: a contents list by category, then each node with its inputs and outputs."""
    lines = [_HEAD]
    groups = [
        (category, list(nodes)) for category, nodes in groupby(catalogue, key=lambda node_type: node_type.category)
    ]
    for category, nodes in groups:
        links = ", ".join(f"[`{node_type.name}`](#{_anchor(node_type.name)})" for node_type in nodes)
        lines.append(f"- **{category or 'other'}**: {links}")
    for category, nodes in groups:
        lines.append(f"\n## {category or 'other'}")
        for node_type in nodes:
            lines.extend(_node(node_type))
    return "\n".join(lines) + "\n"


def _node(node_type: NodeType) -> Iterator[str]:
    yield f"\n### {node_type.name}\n"
    yield node_type.help or "(no help)"
    notes = []
    if node_type.version > 1:
        notes.append(f"Version {node_type.version}.")
    if node_type.output:
        notes.append("A run without targets makes this.")
    if node_type.cache == "never":
        notes.append("Runs each time.")
    if notes:
        yield "\n" + " ".join(notes)
    if node_type.inputs:
        yield "\n| input | type | default | |\n|---|---|---|---|"
        for port in node_type.inputs.values():
            yield f"| `{port.name}` | {_type(port)} | {_default(port)} | {_cell(_help(port))} |"
    if node_type.outputs:
        yield "\n| output | type | |\n|---|---|---|"
        for output in node_type.outputs.values():
            yield f"| `{output.name}` | {_cell(describe(output.type))} | {_cell(output.help)} |"


def _type(port: Port) -> str:
    if port.choices and not port.many:
        return "one of " + ", ".join(f"`{_cell(json.dumps(choice))}`" for choice in port.choices)
    text = describe(port.type) + (" or none" if port.optional else "")
    return _cell(text)


def _default(port: Port) -> str:
    return "required" if port.required else f"`{_cell(json.dumps(json_default(port), ensure_ascii=False))}`"


def _help(port: Port) -> str:
    bounds = f"From {port.range}." if port.range and None not in (port.range.low, port.range.high) else ""
    if port.range and not bounds:
        bounds = f"{str(port.range).capitalize()}."
    return " ".join(text for text in (port.help, bounds) if text)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _anchor(name: str) -> str:
    return name.lower().replace(".", "")


def own_nodes(catalogue: Catalogue) -> Catalogue:
    """The nodes of this package alone: the reference must not depend on which packs a machine has."""
    own = (node_type for node_type in catalogue if node_type.fn.__module__.startswith(OWN))
    return Catalogue(own)


def main(arguments: list[str]) -> int:
    """`FILE` writes the reference, `FILE --check` only says (by exit code 1) whether it is as it would be written."""
    paths = [argument for argument in arguments if not argument.startswith("-")]
    if len(paths) != 1 or set(arguments) - {paths[0], "--check"}:
        print("usage: python -m weft.engine.catalogue.reference FILE [--check]", file=sys.stderr)
        return 2
    path = Path(paths[0])
    catalogue = Catalogue.load()
    for failure in catalogue.failures:
        print(failure, file=sys.stderr)
    text = reference(own_nodes(catalogue))
    if "--check" not in arguments:
        write_atomic(path, text.encode())
        return 1 if catalogue.failures else 0
    if path.is_file() and path.read_text("utf-8") == text:
        return 0
    print(f"{path} is not what the code says: run python -m weft.engine.catalogue.reference {path}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
