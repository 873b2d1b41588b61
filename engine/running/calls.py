"""What a node is called with, lazy inputs among it, and what it gave back."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import Lazy, validate
from weft.engine.declaring.skip import Skip
from weft.engine.ownership import UNCHANGING, copies_for, copy_for
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import DONE, Scope, Step
from weft.engine.running.absent import Absent, Failed, MissingInput, first_absent
from weft.engine.running.lanes import Lane
from weft.engine.surroundings import waiting
from weft.engine.values import Outputs
from weft.graphs.document import Link
from weft.graphs.inputs import links_in
from weft.graphs.problems import near


@dataclass(eq=False, slots=True)
class Demand:
    """A running node asks for a lazy input.

    Attributes:
        number: of its step. sources: of the steps that have to be done.
        reply: called once, with None or why there will be no value.
        waiting: how many of the sources are not done. lane: where the node goes on.
    """

    number: int
    sources: tuple[int, ...]
    reply: Callable[[BaseException | None], None]
    waiting: int = 0
    lane: Lane | None = field(default=None)


@dataclass(eq=False, slots=True)
class Pause:
    """A running node lets others have its place, and later wants it back.

    Attributes:
        number: of its step. since: the pause that it wants to end; None where one begins.
        reply: called once it has it, with None, or why it will not have it.
        lane: where it goes on.
    """

    number: int
    reply: Callable[[BaseException | None], None] = field(default=lambda error: None)
    since: Pause | None = None
    lane: Lane | None = field(default=None)


class Yielded:
    """What `Context.yield_device` gives a node: `with` in ordinary nodes, `async with` in async ones.

    Args:
        number: of the node's step.
        tell: takes the Pause.
    """

    def __init__(self, number: int, tell: Callable[[Pause], None]) -> None:
        self._pause = Pause(number)
        self._tell = tell

    def __enter__(self) -> None:
        self._tell(self._pause)

    def __exit__(self, *raised: object) -> None:
        answer: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._return(answer.put)
        if (error := answer.get()) is not None:
            raise error

    async def __aenter__(self) -> None:
        self._tell(self._pause)

    async def __aexit__(self, *raised: object) -> None:
        answer, reply = _awaited()
        self._return(reply)
        await answer

    def _return(self, reply: Callable[[BaseException | None], None]) -> None:
        self._tell(Pause(self._pause.number, reply, self._pause))


class Inputs:
    """Makes the inputs of calls.

    Args:
        results: by number, as the scheduler holds them.
        ask: takes a Demand, from any thread.
        debug: it is looked whether nodes change their inputs.
    """

    def __init__(
        self, plan: Plan, results: dict[int, Outputs], ask: Callable[[Demand], None], debug: bool = False
    ) -> None:
        self._debug = debug
        self._plan = plan
        self._results = results
        self._ask = ask
        self.ended = False
        """Whether the run has ended: then there is nothing to ask for any more."""

    def value(self, scope: Scope, link: Link) -> Any:
        """What a link leads to; its step is done."""
        number = scope.numbers.get(link.node)
        source = self._plan.original(scope.number(link.node) if number is None else number)
        return self._results[source.number][source.type.output_positions[link.output]]

    def absent(self, step: Step) -> Absent | None:
        """What stands in place of an input that the node needs; None when all are there.

        The items of a list that nodes are to go along may be absent one by one.
        """
        node_type, scope = step.type, step.scope
        if step.region is not None:
            return first_absent(self._results[self._plan.original(number).number][0] for number in step.sources)
        found = []
        for name, item in step.inputs.items():
            kind = type(item)
            if kind is Link:
                if name not in node_type.lazy or node_type.inputs[name].lazy_items:
                    found.append(self.value(scope, item))
            elif kind is list and name not in node_type.lazy and node_type.flow != "map":
                found += [self.value(scope, part) for part in item if type(part) is Link]
        return first_absent(found)

    def of(self, step: Step) -> tuple[dict[str, Any], bool]:
        """What the node is called with, and whether a lazy input may still have to be computed.

        These are the engine's own values, and what the document has: the node itself gets copies (`Handover`).
        Inputs that are absent are left to the function's own defaults.

        Raises:
            ValueError: a value that came over a link is not what the port takes.
        """
        node_type, scope = step.type, step.scope
        inputs: dict[str, Any] = {}
        is_open = False
        for name, item in step.inputs.items():
            if name in node_type.lazy:
                if node_type.inputs[name].lazy_items and type(item) is not Link:
                    parts = [self._lazy(step, name, part) for part in item or ()]
                    inputs[name] = [lazy for lazy, _ in parts]
                    is_open = is_open or any(part for _, part in parts)
                elif node_type.inputs[name].lazy_items:
                    inputs[name] = [Lazy(_constant(part)) for part in self._eager(node_type, scope, name, item)]
                else:
                    inputs[name], part = self._lazy(step, name, item)
                    is_open = is_open or part
                continue
            kind = type(item)
            if kind is Link:
                item = self.value(scope, item)
                if name in node_type.constrained:
                    _check(node_type, name, item)
            elif kind is list or kind is dict:
                item = self._eager(node_type, scope, name, item)
            inputs[name] = item
        return inputs, is_open

    def sources(self, step: Step) -> dict[str, str] | None:
        """Whose result each input is, in words; None when nobody looks whether nodes change their inputs."""
        if not self._debug:
            return None
        found = {}
        for name, item in step.inputs.items():
            links = ", ".join(dict.fromkeys(str(link) for link in links_in(item)))
            found[name] = f"the result of {links}" if links else "as the document has it"
        return found

    def _eager(self, node_type: NodeType, scope: Scope, name: str, item: Any) -> Any:
        kind = type(item)
        if kind is Link:
            item = self.value(scope, item)
        elif kind is list:
            # A copy, also of what is literal: no node of ours hands on what is the document's.
            item = _apart([self.value(scope, part) if type(part) is Link else copy_for(part) for part in item])
        elif kind is dict:
            item = copy_for(item)
        if name in node_type.constrained and kind is not dict:
            _check(node_type, name, item)
        return item

    def absent_lazily(self, step: Step) -> Absent | None:
        """What stands in place of a lazy input that was computed, or should have been."""
        links = [link for name in step.type.lazy for link in links_in(step.inputs.get(name))]
        done = [link for link in links if self._plan.original(step.scope.number(link.node)).state == DONE]
        return first_absent(self.value(step.scope, link) for link in done)

    def _absent_in(self, scope: Scope, item: Any) -> Absent | None:
        """What stands in place of a lazy input whose steps are done, or of a part of it."""
        return first_absent(self.value(scope, link) for link in links_in(item))

    def wanted(self, step: Step) -> tuple[int, ...]:
        """The steps that a node needs besides its eager inputs, by its own word."""
        node_type, scope = step.type, step.scope
        assert node_type.needs is not None
        eager = {
            name: self._eager(node_type, scope, name, item)
            for name, item in step.inputs.items()
            if name not in node_type.lazy
        }
        for name, port in node_type.inputs.items():
            if name not in eager and not port.lazy and not port.required:
                eager[name] = port.default
        for name in node_type.lazy:
            if node_type.inputs[name].lazy_items and isinstance(step.inputs.get(name), list):
                eager[name] = range(len(step.inputs[name]))  # how many there are, not what they are
        numbers: list[int] = []
        for want in self._plan.functions.needs(node_type, copies_for(eager)):
            name, index = want if isinstance(want, tuple) and len(want) == 2 else (want, None)
            if name not in node_type.inputs:
                hint = near(name, node_type.lazy) if isinstance(name, str) else None
                known = f"did you mean {hint!r}?" if hint else f"its lazy ones are {', '.join(sorted(node_type.lazy))}"
                raise ValueError(f"its `needs` names {name!r}, which is no input of it; {known}")
            item = step.inputs.get(name)
            if index is not None and isinstance(item, list):
                if not isinstance(index, int) or not -len(item) <= index < len(item):
                    raise ValueError(f"its `needs` names item {index!r} of {name!r}, which has {len(item)}")
                item = item[index]
            numbers += [scope.number(link.node) for link in links_in(item)]
        return tuple(dict.fromkeys(numbers))

    def _lazy(self, step: Step, name: str, item: Any) -> tuple[Lazy[Any], bool]:
        node_type, scope, plan = step.type, step.scope, self._plan
        sources = tuple(dict.fromkeys(scope.number(link.node) for link in links_in(item)))
        whole = not node_type.inputs[name].lazy_items

        def value() -> Any:
            absent = self._absent_in(scope, item)
            if absent is not None:
                if type(absent) is Failed:
                    step.use("less")
                raise MissingInput(absent)
            if whole:
                return self._eager(node_type, scope, name, item)
            return self.value(scope, item) if type(item) is Link else copy_for(item)

        def there() -> bool:
            if self.ended:
                raise RuntimeError(f"the lazy input {name} was asked for after its run had ended")
            return all(plan.original(source).state == DONE for source in sources)

        if there():
            return Lazy(_constant(value()) if self._absent_in(scope, item) is None else value), False

        def compute() -> Any:
            if not there():
                with contextlib.suppress(RuntimeError):
                    asyncio.get_running_loop()
                    raise _AwaitIt(f"{name} is not there yet: an async node writes `await {name}`, not `{name}()`")
                answer: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
                self._ask(Demand(step.number, sources, answer.put))
                with waiting():
                    error = answer.get()
                if error is not None:
                    raise error
            return value()

        async def wait() -> Any:
            if not there():
                answer, reply = _awaited()
                self._ask(Demand(step.number, sources, reply))
                await answer
            return value()

        return Lazy(compute, wait), True


def _awaited() -> tuple[asyncio.Future[None], Callable[[BaseException | None], None]]:
    """What an async node awaits, and what is called, from any thread, with None or why it waits in vain."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(None)
        elif isinstance(error, Exception):
            answer.set_exception(error)
        else:
            answer.cancel()

    def reply(error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    return answer, reply


class _AwaitIt(Exception):  # noqa: N818
    """Called where it has to be awaited."""


def _check(node_type: NodeType, name: str, item: Any) -> None:
    flaws = validate(node_type.inputs[name], item)
    if flaws:
        raise ValueError(flaws[0].message)


def _apart(items: list[Any]) -> list[Any]:
    """Items of which none is another one too, as two links to one result would give."""
    seen: set[int] = set()
    for place, item in enumerate(items):
        if type(item) not in UNCHANGING:
            if id(item) in seen:
                items[place] = copy_for(item)
            seen.add(id(item))
    return items


def as_outputs(node_type: NodeType, value: Any) -> Outputs:
    """What a node returned, as its outputs in order.

    Raises:
        TypeError: it returned another number of them than it declares, or something that can be gone through once only.
    """
    count = len(node_type.outputs)
    if type(value) in UNCHANGING and not node_type.several_outputs:
        return (value,) if count else ()
    for item in value if node_type.several_outputs and isinstance(value, tuple) else (value,):
        if hasattr(item, "__next__"):
            kind = type(item).__name__
            raise TypeError(f"it returned a {kind}, which only the first of its users could go through: return a list")
    if node_type.several_outputs and type(value) is Skip:
        return (value,) * count
    if node_type.several_outputs:
        if not isinstance(value, tuple) or len(value) != count:
            found = f"{len(value)} values" if isinstance(value, tuple) else type(value).__name__
            raise TypeError(f"it returned {found} instead of ({', '.join(node_type.outputs)})")
        return tuple(value)
    return (value,) if count else ()


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value
