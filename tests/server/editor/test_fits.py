"""The editor's answer to "does this fit?" is held against the engine's own: this writes what the engine says to a file.

python -m pytest tests/server/editor/test_fits.py               fails when the file is stale
WEFT_WRITE=1 python -m pytest tests/server/editor/test_fits.py   writes it again
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from weft.engine.catalogue import installed
from weft.engine.catalogue.describe import describe_node
from weft.engine.declaring.types import accepts, describe
from weft.graphs.pretty import pretty

FIXTURE = Path(__file__).parents[3] / "server" / "editor" / "tests" / "fits.json"


def _trimmed(node: dict[str, Any]) -> dict[str, Any]:
    """A node type without its long texts, which the editor's tests do not need."""
    inputs = [{key: value for key, value in port.items() if key != "help"} for port in node["inputs"]]
    outputs = [{"name": port["name"], "type": port["type"]} for port in node["outputs"]]
    kept = {key: node[key] for key in ("name", "version", "category", "summary", "output", "resource", "cache", "tags")}
    return kept | {"help": "", "origin": "", "inputs": inputs, "outputs": outputs}


def _table() -> dict[str, Any]:
    types = [node for node in installed() if node.place.startswith("weft.")]
    outputs: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for node in types:
        for made in node.outputs.values():
            outputs.setdefault(describe(made.type), made.type)
        for port in node.inputs.values():
            # A letter with limits has a name that says nothing of them; the check of the whole graph does.
            if not port.generic:
                inputs.setdefault(describe(port.type), port.type)
                inputs.setdefault(describe(port.item), port.item)
    fits = {
        given: [text for text, wanted in sorted(inputs.items()) if accepts(wanted, tp)]
        for given, tp in sorted(outputs.items())
    }
    return {"inputs": sorted(inputs), "fits": fits, "nodes": [_trimmed(describe_node(node)) for node in types]}


def test_the_table_of_what_fits_what_is_the_engines_own() -> None:
    text = pretty(_table()) + "\n"
    if os.environ.get("WEFT_WRITE"):
        FIXTURE.write_text(text, "utf-8")
    assert FIXTURE.exists(), "Write it with WEFT_WRITE=1."
    assert json.loads(FIXTURE.read_text("utf-8")) == json.loads(text), "Stale: write it again with WEFT_WRITE=1."
