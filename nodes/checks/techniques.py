"""Techniques at a node with the denoise loop: which there are, and whether they go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from weft.engine import NodeView, Problem
from weft.engine.declaring.node_type import NodeType
from weft.nodes.checks.tags import BASE, CHANNELS, RUN, SOURCE, START, VIEWS, WRAPS, run_input, says

_ONE = {
    VIEWS: "divide the canvas into views",
    START: "give the latents to start from",
    SOURCE: "take the prompt's attention from another prompt",
    CHANNELS: "give the denoiser channels of their own, and no model reads both",
}
"""Tags of what one run can have once, whichever input it comes by."""


def check_techniques(view: NodeView) -> Iterable[Problem]:
    """One base term among `guidance`, and at most one technique of each kind that excludes others of its kind."""
    guidance = run_input(view.type, "guidance")
    sources = techniques_wired(view, guidance)
    bases = [(id, kind) for id, kind in sources if says(kind, BASE)]
    # What a value is that no node of the graph makes cannot be told: it may be the base term, or wrap it.
    if sources and not bases and not any(says(kind, WRAPS) or kind.stands for _, kind in sources):
        given = ", ".join(f"{id} ({kind.name})" for id, kind in sources)
        yield Problem(
            code="missing_input",
            node=view.id,
            input=guidance,
            message=f"guidance needs one base term, such as cfg; {given} only add to one",
        )
    if len(bases) > 1:
        yield Problem(
            code="conflict",
            node=view.id,
            input=guidance,
            message=f"{_named(bases)} are both a base term, which makes the first prediction; "
            f"{view.type.name} takes exactly one",
        )
    yield from _exclusive(view)


def check_picture(view: NodeView) -> Iterable[Problem]:
    """Just one of `image` and `latents`."""
    given = [name for name in ("image", "latents") if view.sources(name)]
    if not given:
        message = "either `image` or `latents` is needed: link one of them"
        yield Problem(code="missing_input", node=view.id, input="image", message=message)
    if len(given) > 1:
        message = "either `image` or `latents` is needed, not both"
        yield Problem(code="conflict", node=view.id, input="latents", message=message)


def steps_of(view: NodeView) -> int | None:
    """How many steps a node with the denoise loop makes, where that is written out."""
    for name in ("sigmas", "timesteps"):
        input = run_input(view.type, name)
        if view.sources(input):
            return None
        numbers = view.literals.get(input)
        if isinstance(numbers, (list, tuple)) and numbers:
            return len(numbers) - (name == "sigmas" and numbers[-1] == 0)
    steps = view.literals.get(run_input(view.type, "steps"))
    return steps if isinstance(steps, int) else None


def _exclusive(view: NodeView) -> Iterator[Problem]:
    own = view.type
    wired = [(input, id, kind) for input in _inputs(view) for id, kind in techniques_wired(view, input)]
    inputs = {CHANNELS: [run_input(own, "masked")]}
    if not view.sources(run_input(own, "mask")):
        # With a mask, `start` is what is kept, and the run may begin with something else.
        inputs[START] = [run_input(own, "start")]
    if not view.sources(run_input(own, "start")) and any(says(kind, START) for _, _, kind in wired):
        # Noise alone would be begun with; added to `start` it goes with the technique.
        inputs[START] = [run_input(own, "noise")]
    for tag, what in _ONE.items():
        found = [(input, id, kind) for input, id, kind in wired if says(kind, tag)]
        found += [(input, id, kind) for input in inputs.get(tag, ()) for id, kind in view.sources(input)]
        if len(found) > 1 and not all(says(kind, BASE) for _, _, kind in found):
            named = _named([(id, kind) for _, id, kind in found])
            message = f"{named} both {what}; there can be one"
            yield Problem(code="conflict", node=view.id, input=found[-1][0], message=message)


def _inputs(view: NodeView) -> list[str]:
    """Where techniques come in at a node with the denoise loop."""
    return [run_input(view.type, name) for name in ("guidance", "controls")]


def techniques_of(view: NodeView) -> list[NodeView]:
    """The techniques at a node with the denoise loop, also those that others wrap."""
    pairs = [pair for input in _inputs(view) for pair in techniques_wired(view, input)]
    return [technique for id, _ in pairs if (technique := view.other(id)) is not None]


def runs_with(view: NodeView) -> Iterator[NodeView]:
    """The nodes with the denoise loop that a technique is wired to, itself or wrapped."""
    pending, seen = [view], {view.id}
    while pending:
        for user in pending.pop().users():
            if user.id in seen:
                continue
            seen.add(user.id)
            if says(user.type, WRAPS):
                pending.append(user)
            elif says(user.type, RUN):
                yield user


def techniques_wired(view: NodeView, input: str) -> list[tuple[str, NodeType]]:
    """The nodes that techniques come from: those linked to an input, or to what only wraps them."""
    found = []
    pending = list(reversed(view.sources(input)))
    seen = set()
    while pending:
        id, kind = pending.pop()
        wrapper = view.other(id) if says(kind, WRAPS) else None
        inner = wrapper.sources("technique") if wrapper is not None else []
        if inner and id not in seen:
            seen.add(id)
            pending.extend(reversed(inner))
        else:
            found.append((id, kind))
    return found


def _named(nodes: list[tuple[str, NodeType]]) -> str:
    return " and ".join(f"{id} ({kind.name})" for id, kind in nodes)
