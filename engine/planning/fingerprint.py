"""What of the world outside the document a node's result depends on."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from weft.engine.checking.functions import HERE, Functions
from weft.engine.declaring.context import Context, resolve_input_path
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import MISSING
from weft.engine.filehash import content_hash
from weft.graphs.inputs import links_in


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
            if isinstance(literals[name], (str, PurePath)) and str(literals[name]):
                literals[name] = str(resolve_input_path(literals[name], roots))
        if function is None:
            # It reads files and says no more: then it depends on what is in them.
            paths = {name: literals[name] for name in sorted(node_type.files & literals.keys())}
            texts = {name: content_hash(path) for name, path in paths.items() if isinstance(path, str) and path}
            return json.dumps(texts), not node_type.files & linked
        parameters = dict(inspect.signature(function).parameters)
        asks = parameters.pop("ctx", None) is not None
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            if any(name in linked and parameter.default is parameter.empty for name, parameter in parameters.items()):
                return None, False
            literals = {name: item for name, item in literals.items() if name in parameters}
        return functions.fingerprint(node_type, literals, Context(roots=roots) if asks else None), True
    except Exception:
        return None, False
