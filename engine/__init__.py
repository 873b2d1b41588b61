"""How a workflow runs: ports, `@node`, catalogue, check, plan, cache, events. Knows nothing of diffusion or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.declaring.context import CancelToken, Context
from engine.declaring.definition import definition
from engine.declaring.node import Node, node
from engine.declaring.node_type import NodeType, NodeView
from engine.declaring.ports import Choices, Help, Lazy, Output, Port, Range, Widget
from engine.errors import Cancelled, InputPathError, NodeError
from engine.running.result import RunFailed
from engine.values import Files, nbytes, value
from graphs.problems import Problem, WorkflowError

if TYPE_CHECKING:
    from engine.cache import Cache
    from engine.catalogue.catalogue import Catalogue
    from engine.checking.prepare import check
    from engine.runner import Settings, run
    from engine.running.lanes import LaneSizes
    from engine.running.result import Result

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
    "check": "checking.prepare",
    "run": "runner",
    "LaneSizes": "running.lanes",
    "Result": "running.result",
    "Settings": "runner",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        found = getattr(import_module(f"engine.{_LATER[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
