"""What of the world outside the document a node's result depends on."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from weft.engine.checking.functions import HERE, Functions
from weft.engine.declaring.context import Context
from weft.engine.declaring.input_paths import resolve_input_path
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import MISSING
from weft.engine.filehash import FileState, FolderState, content_hash, folder_hash, taken_down
from weft.graphs.inputs import links_in


def look_outside(
    node_type: NodeType, inputs: Mapping[str, Any], roots: Sequence[Path] | None, functions: Functions = HERE
) -> tuple[str | None, bool, tuple[FileState | FolderState, ...]]:
    """The fingerprint, whether it is known, and which files it is made of, as they are now."""
    if node_type.fingerprint is None and not node_type.files:
        return None, node_type.cache != "never", ()
    with taken_down() as files:
        stamp, known = fingerprint(node_type, inputs, roots, functions)
    return stamp, known, tuple(files)


def fingerprint(
    node_type: NodeType, inputs: Mapping[str, Any], roots: Sequence[Path] | None, functions: Functions = HERE
) -> tuple[str | None, bool]:
    """What of the world outside the document enters a node's key, and whether it can be known before the node runs.

    A node that gives no fingerprint (the file is missing, say) runs, and says itself what is wrong.
    """
    if node_type.cache == "never":
        return None, False
    function = node_type.fingerprint
    if function is None and not node_type.files:
        return None, True
    literals = {
        name: inputs.get(name, port.default)
        for name, port in node_type.inputs.items()
        if port.default is not MISSING or name in inputs
    }
    literals = {name: item for name, item in literals.items() if not any(links_in(item))}
    linked = node_type.inputs.keys() - literals.keys()
    try:
        for name in node_type.files & literals.keys():
            widget = node_type.inputs[name].widget
            literals[name] = _resolved(literals[name], roots, frozenset(widget.names if widget is not None else ()))
        if function is None:
            # It reads files and says no more: then it depends on what is in them.
            texts = {name: _contents(literals[name]) for name in sorted(node_type.files & literals.keys())}
            return json.dumps({name: text for name, text in texts.items() if text}), not node_type.files & linked
        parameters = dict(inspect.signature(function).parameters)
        asks = parameters.pop("ctx", None) is not None
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            if any(name in linked and parameter.default is parameter.empty for name, parameter in parameters.items()):
                return None, False
            literals = {name: item for name, item in literals.items() if name in parameters}
        return functions.fingerprint(node_type, literals, Context(roots=roots) if asks else None), True
    except Exception:
        return None, False


class _File(str):
    """A path that was resolved; names that a node finds itself stay ordinary texts."""


def _resolved(item: Any, roots: Sequence[Path] | None, names: frozenset[str]) -> Any:
    """A literal with its paths made absolute, wherever they stand in it."""
    if isinstance(item, (str, PurePath)):
        text = str(item)
        return _File(resolve_input_path(item, roots)) if text and text not in names else item
    if isinstance(item, (list, tuple)):
        return [_resolved(part, roots, names) for part in item]
    if isinstance(item, Mapping):
        return {key: _resolved(part, roots, names) for key, part in item.items()}
    return item


def _contents(item: Any) -> Any:
    """The literal again, with a hash of what is in each file or folder in the place of its path."""
    if isinstance(item, _File):
        return folder_hash(item, hidden=True) if os.path.isdir(item) else content_hash(item)
    if isinstance(item, list):
        return [_contents(part) for part in item]
    if isinstance(item, dict):
        return {key: _contents(part) for key, part in item.items()}
    return None
