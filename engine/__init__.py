"""How a workflow runs: ports, `@node`, catalogue, check, plan, cache, events. Knows nothing of diffusion or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weft.engine.declaring.axes_of import AxesOf
from weft.engine.declaring.context import Context
from weft.engine.declaring.definition import definition
from weft.engine.declaring.following import CancelToken
from weft.engine.declaring.node import Node, node
from weft.engine.declaring.node_type import NodeType, NodeView
from weft.engine.declaring.ports import Choices, Help, Lazy, Output, Port, Widget
from weft.engine.declaring.ranges import Range
from weft.engine.declaring.skip import Skip
from weft.engine.errors import Cancelled, InputPathError, NodeError, NoSuchFileError
from weft.engine.running.result import RunFailed
from weft.engine.values import Files, nbytes, value
from weft.graphs.problems import Problem, WorkflowError
from weft.graphs.showing import described_by

if TYPE_CHECKING:
    from weft.engine.cache import Cache
    from weft.engine.catalogue.catalogue import Catalogue
    from weft.engine.checking.settings import with_settings
    from weft.engine.forecaster import Forecast, NodeForecast, forecast
    from weft.engine.isolation import Workers
    from weft.engine.reasons import Why, why
    from weft.engine.runner import Settings, check, run
    from weft.engine.running.backend import Backend
    from weft.engine.running.devices import Devices
    from weft.engine.running.lanes import LaneSizes
    from weft.engine.running.result import Failure, Result
    from weft.graphs.document import Workflow
    from weft.graphs.draw import Describe

__all__ = [
    "AxesOf",
    "Backend",
    "Cache",
    "CancelToken",
    "Cancelled",
    "Catalogue",
    "Choices",
    "Context",
    "Devices",
    "Failure",
    "Files",
    "Forecast",
    "Help",
    "InputPathError",
    "LaneSizes",
    "Lazy",
    "NoSuchFileError",
    "Node",
    "NodeError",
    "NodeForecast",
    "NodeType",
    "NodeView",
    "Output",
    "Port",
    "Problem",
    "Range",
    "Result",
    "RunFailed",
    "Settings",
    "Skip",
    "Why",
    "Widget",
    "Workers",
    "WorkflowError",
    "check",
    "definition",
    "forecast",
    "nbytes",
    "node",
    "run",
    "value",
    "why",
    "with_settings",
]

# A node file needs declarations only; what runs them is imported when somebody runs something.
_LATER = {
    "Backend": "running.backend",
    "Cache": "cache",
    "Workers": "isolation",
    "Catalogue": "catalogue",
    "check": "runner",
    "Devices": "running.devices",
    "Forecast": "forecaster",
    "NodeForecast": "forecaster",
    "forecast": "forecaster",
    "Why": "reasons",
    "run": "runner",
    "why": "reasons",
    "Failure": "running.result",
    "LaneSizes": "running.lanes",
    "Result": "running.result",
    "Settings": "runner",
    "with_settings": "checking.settings",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        found = getattr(import_module(f"weft.engine.{_LATER[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'weft.engine' has no attribute {name!r}")


def _node_shapes(workflow: Workflow) -> Describe:
    """What a notebook's picture of a workflow shows of its node types."""
    from weft.engine.catalogue.shapes import shapes_for

    return shapes_for(workflow)


described_by(_node_shapes)
