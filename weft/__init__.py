"""Weft: workflows of typed nodes for controlled image generation, as JSON documents, in Python, or both.

    from weft import Cache, Graph, Workflow, check, node, run
    from weft.nodes import cfg, decode, denoise, encode_prompt, load_model

`weft.graphs` is what a workflow is, `weft.engine` how it runs, `weft.nodes` what it can do, `weft.server` how others
reach it. The names below come from the first two. All of them load when they are first used, and none loads torch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft import engine, graphs, nodes, server
    from weft.engine import (
        Backend,
        Cache,
        Cancelled,
        CancelToken,
        Catalogue,
        Choices,
        Context,
        Devices,
        Failure,
        Files,
        Forecast,
        Help,
        InputPathError,
        LaneSizes,
        Lazy,
        Node,
        NodeError,
        NodeForecast,
        NodeType,
        NodeView,
        Output,
        Port,
        Range,
        Result,
        RunFailed,
        Settings,
        Skip,
        Why,
        Widget,
        Workers,
        check,
        definition,
        forecast,
        nbytes,
        node,
        run,
        value,
        why,
        with_settings,
    )
    from weft.graphs import (
        LIMITS,
        Definition,
        Graph,
        Handle,
        Limits,
        Link,
        NodeSpec,
        Parameter,
        Problem,
        Workflow,
        WorkflowError,
        check_form,
        current_graph,
        near,
        python_source,
    )

__all__ = [
    "LIMITS",
    "Backend",
    "Cache",
    "CancelToken",
    "Cancelled",
    "Catalogue",
    "Choices",
    "Context",
    "Definition",
    "Devices",
    "Failure",
    "Files",
    "Forecast",
    "Graph",
    "Handle",
    "Help",
    "InputPathError",
    "LaneSizes",
    "Lazy",
    "Limits",
    "Link",
    "Node",
    "NodeError",
    "NodeForecast",
    "NodeSpec",
    "NodeType",
    "NodeView",
    "Output",
    "Parameter",
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
    "Workflow",
    "WorkflowError",
    "check",
    "check_form",
    "current_graph",
    "definition",
    "engine",
    "forecast",
    "graphs",
    "nbytes",
    "near",
    "node",
    "nodes",
    "python_source",
    "run",
    "server",
    "value",
    "why",
    "with_settings",
]

_PACKAGES = frozenset({"engine", "graphs", "nodes", "server"})
_OF_GRAPHS = frozenset(
    {
        "Definition",
        "Graph",
        "Handle",
        "LIMITS",
        "Limits",
        "Link",
        "NodeSpec",
        "Parameter",
        "Problem",
        "Workflow",
        "WorkflowError",
        "check_form",
        "current_graph",
        "near",
        "python_source",
    }
)

_HERE = Path(__file__).parent
if not (_HERE / "engine").is_dir():
    # A source tree: the packages lie beside this folder, not in it. Installed, they are where Python looks anyway.
    __path__.append(str(_HERE.parent))


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"weft.{name}")
    if name in __all__:
        if name in ("Graph", "Workflow"):
            import_module("weft.engine")  # which tells a notebook's pictures of them what the nodes look like
        item = globals()[name] = getattr(import_module("weft.graphs" if name in _OF_GRAPHS else "weft.engine"), name)
        return item
    raise AttributeError(f"module 'weft' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
