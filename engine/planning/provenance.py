"""What a saved image says about how it was made."""

from __future__ import annotations

import functools
import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from weft.engine.checking.axes import is_gathering
from weft.engine.planning.plan import Plan
from weft.graphs.document import Link, Workflow

PACKAGES = ("weft", "torch", "diffusers", "transformers", "safetensors", "numpy", "pillow")


def provenance(workflow: Workflow, plan: Plan) -> dict[str, str]:
    """`weft_workflow`: the document with all values. `weft_run`: versions, keys of results, and seeds."""
    # The document's nodes, not what became of them: that may depend on what is cached.
    steps = [plan.steps[number] for id, number in plan.numbers.items() if not is_gathering(id)]
    run = {
        "versions": dict(versions()),
        # A step that runs every time has a key of chance: in the text, it would make each saved file another.
        "keys": {step.id: step.key.hex() for step in steps if step.keeps},
        "seeds": {f"{step.id}.{name}": seed for step in steps for name, seed in _seeds(step).items()},
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


def _seeds(step: object) -> dict[str, int]:
    from weft.engine.planning.steps import Step

    assert isinstance(step, Step)
    seeds = {}
    for name, port in step.type.inputs.items():
        if name == "seed" or name.endswith("_seed") or (port.widget is not None and port.widget.kind == "seed"):
            item = step.inputs.get(name, port.default)
            if isinstance(item, int) and not isinstance(item, Link):
                seeds[name] = item
    return seeds
