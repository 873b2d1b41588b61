"""How a workflow runs: ports, `@node`, catalogue, check, plan, cache, events. Knows nothing of diffusion or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.context import CancelToken, Context
from engine.declare import Node, NodeType, NodeView, node
from engine.define import definition
from engine.errors import Cancelled, InputPathError, NodeError, RunFailed
from engine.ports import Choices, Help, Lazy, Output, Port, Range, Widget
from engine.values import Files, nbytes, value
from graphs.problems import Problem, WorkflowError

if TYPE_CHECKING:
    from engine.cache import Cache
    from engine.catalogue import Catalogue
    from engine.checker import check
    from engine.lanes import LaneSizes
    from engine.runner import Result, Settings, run

__all__ = [
    "Cache",
    "CancelToken",
    "Cancelled",
    "Catalogue",
    "Choices",
    "Context",
    "Files",
    "Help",
    "InputPathError",
    "LaneSizes",
    "Lazy",
    "Node",
    "NodeError",
    "NodeType",
    "NodeView",
    "Output",
    "Port",
    "Problem",
    "Range",
    "Result",
    "RunFailed",
    "Settings",
    "Widget",
    "WorkflowError",
    "check",
    "definition",
    "nbytes",
    "node",
    "run",
    "value",
]

# A node file needs declarations only; what runs them is imported when somebody runs something.
_LATER = {
    "Cache": "cache",
    "Catalogue": "catalogue",
    "check": "checker",
    "run": "runner",
    "LaneSizes": "lanes",
    "Result": "runner",
    "Settings": "runner",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        found = getattr(import_module(f"engine.{_LATER[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
