"""What a node is called with and what it returned, as they change hands (see `engine.ownership`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.engine.cache.content import content_checksum
from weft.engine.declaring.ports import Lazy
from weft.engine.ownership import copied_by, copies_for, copy_for, take_over
from weft.engine.planning.expansion import Expansion
from weft.graphs.builder import Graph


class InputChanged(RuntimeError):  # noqa: N818
    """A node changed what it was given, which the debug mode does not let pass."""


class Handover:
    """The values of one call.

    Args:
        given: the inputs as the engine holds them; the node gets copies.
        sources: whose result each is, for the inputs that are looked at in debug mode; None outside of it.
        defaults: of inputs that are absent, where a call could change them (`NodeType.changing_defaults`).

    Attributes:
        inputs: what the node is called with.
    """

    __slots__ = ("_given", "_watch", "inputs")

    def __init__(
        self, given: dict[str, Any], sources: Mapping[str, str] | None = None, defaults: Mapping[str, Any] = {}
    ) -> None:
        if defaults:
            given = {**defaults, **given}
            if sources is not None:
                sources = {**dict.fromkeys(defaults, "its default"), **sources}
        self._given = given
        self.inputs = copies_for(given)
        self._watch = None if sources is None else Watch(self.inputs, sources)

    def result(self, box: list[Any]) -> Any:
        """What the node returned as the engine's: an Expansion for a graph.

        Args:
            box: a list with the value, and the only thing that refers to it; empty afterwards.

        Raises:
            InputChanged: in debug mode.
        """
        if self._watch is not None:
            self._watch.compare()
            self._watch = None
        inputs, self.inputs = self.inputs, {}
        if type(box[0]) is Graph:
            return _expansion(box.pop(), inputs, self._given)
        del inputs  # what the node hands on of its inputs is nobody's now but the result's
        return take_over(box)


def _expansion(graph: Graph, inputs: Mapping[str, Any], given: Mapping[str, Any]) -> Expansion:
    """The graph with the engine's own values for the inputs that it was given.

    An input that the node changed before is a value of its own: results that are made of it are not those that are made
    of the input.
    """
    expansion = Expansion.of(graph, inputs)
    for id, value in expansion.values.items():
        if id not in expansion.places:
            expansion.values[id] = copy_for(value)
            continue
        name, index = expansion.places[id]
        original = given[name]
        if index is not None:
            # Where it was once, if the node took others out of its list before it.
            original = original[index] if index < len(original) else _NOTHING
        if original is value or content_checksum(original) == content_checksum(value):
            expansion.values[id] = original
        else:
            del expansion.places[id]
            expansion.values[id] = copy_for(value)
    return expansion


_NOTHING = object()


class Watch:
    """Notices when a node changes what it was given.

    Args:
        inputs: what it will be called with; lazy ones are replaced, so as to be looked at once they are asked for.
        sources: whose result each is.
    """

    def __init__(self, inputs: dict[str, Any], sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._before: list[tuple[str, Any, bytes]] = []
        for name in sources:
            item = inputs.get(name)
            if type(item) is Lazy:
                inputs[name] = self._watched(name, item)
            elif type(item) is list and any(type(part) is Lazy for part in item):
                inputs[name] = [self._watched(name, part) if type(part) is Lazy else part for part in item]
            else:
                self._look_at(name, item)

    def compare(self) -> None:
        """Raise InputChanged when something is not as it was."""
        changed = [name for name, value, before in self._before if content_checksum(value) != before]
        if changed:
            said = " and ".join(f"its input {name!r} ({self._sources[name]})" for name in dict.fromkeys(changed))
            raise InputChanged(
                f"it changed {said} in place; a node has to leave its inputs as they are and to change a copy, since "
                "others may be given the same"
            )

    def _look_at(self, name: str, value: Any) -> None:
        self._before.append((name, value, content_checksum(value)))

    def _watched(self, name: str, lazy: Lazy[Any]) -> Lazy[Any]:
        def compute() -> Any:
            value = lazy()
            self._look_at(name, value)
            return value

        async def wait() -> Any:
            value = await lazy
            self._look_at(name, value)
            return value

        return Lazy(compute, wait)


def _of_one_call(lazy: Lazy[Any]) -> Lazy[Any]:
    """The same input for one call, which gets a value of its own, once."""
    values: list[Any] = []

    def compute() -> Any:
        if not values:
            values.append(copy_for(lazy()))
        return values[0]

    async def wait() -> Any:
        if not values:
            values.append(copy_for(await lazy))
        return values[0]

    return Lazy(compute, wait)


copied_by(Lazy, _of_one_call)
