"""What a saved image says about how it was made."""

from __future__ import annotations

import functools
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from weft.engine.checking.axes import is_gathering
from weft.engine.planning.alone import alone, node_of, plain_value
from weft.engine.planning.plan import Plan, reachable
from weft.engine.planning.steps import Item, Step
from weft.graphs.document import Link, Workflow

PACKAGES = ("weft", "torch", "diffusers", "transformers", "safetensors", "numpy", "pillow")


@dataclass(frozen=True, slots=True)
class OfBatch:
    """One image of those that a node saves in one call.

    Attributes:
        number: which, from 1. count: of how many.
        inputs: of the saving node, with which it saves this image alone; empty where it cannot.
    """

    number: int
    count: int
    inputs: Mapping[str, Any] = field(default_factory=dict)


def provenance(
    workflow: Workflow, plan: Plan, step: Step | None = None, image: OfBatch | None = None
) -> dict[str, str]:
    """`weft_workflow`: the document with all values. `weft_run`: versions, keys of results, and seeds.

    Args:
        step: what saves. Where it runs for one item of a list, the document is the part that makes this item alone,
            and `weft_run` names the item and has its keys and seeds.
        image: which image of a batch; the document saves this one alone, and seeds are its own.
    """
    items = step.items if step is not None else ()
    said: dict[str, Any] = {}
    if step is None or (not items and image is None):
        # The document's nodes, not what became of them: that may depend on what is cached.
        steps = [plan.steps[number] for id, number in plan.numbers.items() if not is_gathering(id)]
    else:
        scope = step.scope.home or step.scope
        needed = reachable(plan.root.specs, [node_of(step)])[0]
        steps = [plan.steps[scope.number(id)] for id in needed]
        workflow, rest = alone(workflow, plan, step, image.inputs if image is not None else {})
        said["node"] = node_of(step)
        if items:
            said["items"] = [_told(item, item not in rest) for item in items]
        if image is not None:
            able = bool(image.inputs) and step.scope.visible is None
            said["image"] = {"number": image.number, "of": image.count, "alone": able}
    values = {spread: plain_value(item, spread) for item in items if item.shown is None for spread in item.spreads}
    run = {
        "versions": dict(versions()),
        # A step that runs every time has a key of chance: in the text, it would make each saved file another.
        "keys": {step.id: step.key.hex() for step in steps if step.keeps and not step.type.stands},
        "seeds": {f"{step.id}.{name}": seed for step in steps for name, seed in _seeds(step, values, image).items()},
        **said,
    }
    return {"weft_workflow": workflow.to_json(compact=True), "weft_run": json.dumps(run, separators=(",", ":"))}


@functools.cache
def versions() -> tuple[tuple[str, str], ...]:
    """Names and versions of what results depend on, without importing it."""
    found = [("python", platform.python_version()), ("platform", sys.platform)]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def _told(item: Item, narrowed: bool) -> dict[str, Any]:
    """An item as `weft_run` has it; `alone` is whether the document makes it alone."""
    values = {spread: plain_value(item, spread) for spread in item.spreads}
    return {
        "axis": "" if item.axis.startswith("#") else item.axis,
        "number": item.index + 1,
        "of": item.count,
        "values": {spread: value for spread, value in values.items() if value is not None},
        "alone": narrowed,
    }


def _seeds(step: Step, values: Mapping[str, Any], image: OfBatch | None) -> dict[str, int]:
    """The seeds of a step by input: those of the document, and those that are items of lists.

    A node with a `batch` beside its `seed` draws image k with seed + k, which is then the image's own.
    """
    seeds = {}
    for name, port in step.type.inputs.items():
        if name == "seed" or name.endswith("_seed") or (port.widget is not None and port.widget.kind == "seed"):
            item = _value(step.inputs.get(name, port.default), values)
            if type(item) is int:
                seeds[name] = item
    if image is not None and "seed" in seeds and _value(step.inputs.get("batch"), values) == image.count:
        seeds["seed"] += image.number - 1
    return seeds


def _value(item: object, values: Mapping[str, Any]) -> object:
    return values.get(item.node) if isinstance(item, Link) else item
