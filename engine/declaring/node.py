"""`@node`: a function becomes a node, and its signature is the schema.

    @node("blend", category="latents")
    def blend(a: Latents, b: Latents, amount: Annotated[float, Range(0, 1)] = 0.5) -> Latents:
        \"\"\"Mix two latents.

        Args:
            amount: share of `b`.
        \"\"\"

Inside `with Graph():` a call records the node and returns a handle; outside it computes, and is checked as a graph is.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from weft.engine.declaring.arguments import by_name, check_call
from weft.engine.declaring.context import Context
from weft.engine.declaring.node_type import NAME, CachePolicy, Flow, Migration, Needs, NodeType, Resource, StaticCheck
from weft.engine.declaring.ports import Lazy, Port
from weft.engine.declaring.skip import Skip
from weft.graphs.builder import Graph, current_graph

P = ParamSpec("P")
R = TypeVar("R")


class Node(Generic[P, R]):
    """What `@node` makes of a function: the same callable, which records itself inside `with Graph():`."""

    def __init__(self, node_type: NodeType) -> None:
        self.node_type = node_type
        functools.update_wrapper(cast(Any, self), node_type.fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        graph = current_graph()
        if graph is not None:
            return cast(R, self._record(graph, args, kwargs))
        inputs = check_call(self.node_type, args, kwargs)
        context = self.node_type.context_parameter
        if context is not None and inputs.get(context) is None:
            inputs[context] = Context()
        for name in inputs.keys() & self.node_type.lazy:
            if self.node_type.inputs[name].lazy_items:
                inputs[name] = [_lazily(item) for item in inputs[name]]
            else:
                inputs[name] = _lazily(inputs[name])
        return cast(R, self.node_type.fn(**inputs))

    def __repr__(self) -> str:
        return repr(self.node_type)

    def _record(self, graph: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        node_type = self.node_type
        ports = node_type.inputs
        kwargs = {name: item for name, item in kwargs.items() if name != node_type.context_parameter}
        given, wrong = by_name(node_type, ports, args, kwargs)
        if wrong:
            raise TypeError("\n".join(wrong))
        inputs = {name: given[name] for name in ports if name in given and not _is_default(ports[name], given[name])}
        return graph.add(node_type.name, inputs, tuple(node_type.outputs), declaration=node_type)


def _lazily(item: Any) -> Lazy[Any]:
    return item if isinstance(item, Lazy) else Lazy(lambda: item)


def _is_default(port: Port, item: Any) -> bool:
    """A None that is the default is left out of the document, where it would say nothing."""
    return item is None and port.default is None


def node(
    name: str,
    version: int = 1,
    category: str = "",
    *,
    cache: CachePolicy = "pure",
    fingerprint: Callable[..., str] | None = None,
    resource: Resource = "cpu",
    output: bool = False,
    side_files: bool = False,
    tags: Iterable[str] = (),
    check: StaticCheck | None = None,
    migrations: Mapping[int, Migration] | None = None,
    flow: Flow = "",
    needs: Needs | None = None,
    resumes: Iterable[str] = (),
    global_random: bool | None = None,
    retry: int = 0,
    timeout: float | None = None,
    content_key: bool = False,
) -> Declare:
    """Declare a function as a node.

    Args:
        name: what documents call it.
        version: raise it when the meaning of inputs or outputs changes; then give a migration.
        category: where an editor lists it.
        cache: "never" for what must run each time (clocks, random numbers without a seed).
        fingerprint: `f(**literal_inputs) -> str`, called while planning, for inputs that name something that can
            change; return a hash of what is there. It has to be light. Where an input that it needs is linked, the
            node runs each time. One with a parameter `ctx` gets a Context for finding files as the node will. A node
            with `Widget("file")` inputs and no fingerprint has their content hashes.
        resource: "device" for what needs the accelerator alone, "io" for what waits, else "cpu".
        output: a run without targets runs it.
        side_files: it writes into the output folder. Results of one that does and does not say so are not kept.
        tags: words for other nodes' checks.
        check: `f(view: NodeView) -> problems`, called by `check` for what types cannot say.
        migrations: `{1: f}` turns the inputs of version 1 into those of version 2, and so on.
        flow: see `NodeType`; for nodes that steer the others.
        needs: `f(other_inputs) -> names of the lazy inputs that it will ask for` (or `(name, index)` for one of a
            `list[Lazy[X]]`). They are computed first, and no thread has to wait for them inside the node. Naming what
            is no input is that node's failure.
        resumes: inputs in which it may differ from an earlier run that it goes on from by `ctx.trails`; a forecast
            then says that it may.
        global_random: whether it draws from generators that the whole process shares (`random`, `numpy.random`, torch
            without `generator=`). Nodes that do run one at a time, each from the generators as they were when the run
            began. By default that holds for nodes of packs and scripts whose code can be seen to reach such a
            generator, or a library that may. Async nodes cannot have it.
        retry: how often it is called again when it failed, for what fails for a while: a network, a service, a device
            that is short of memory. There is a pause before each further call: 0.1 s, then twice as long each time, at
            most 5 s. A document may say otherwise for one of its nodes (`"retry": 2`).
        timeout: seconds that a call may take, waiting for its turn included; then it has failed. An async node is
            cancelled and a worker process ended (`run(isolate=True)`); a function in a thread of this process cannot be
            stopped, so it is told by `ctx.cancelled`, and what it returns goes nowhere. A document may say otherwise
            for one of its nodes (`"timeout": 60`).
        content_key: what uses its results is found in the cache by what these are, and not by what they were made of:
            where it runs again and gives the same as before, nothing behind it runs. For nodes that come before costly
            ones and often give the same, such as those that read, list, crop or choose. Each result is hashed, so not
            for large ones that differ each time; one that is alive, such as a loaded model, counts as before.

    Raises:
        ValueError: the name is none, the version is below 1, `retry` is below 0, `timeout` is not above 0, or an async
            node says `global_random`.
        TypeError: the function is a generator, whose values only the first of its users would get.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no node name: a letter or _, then up to 63 letters, digits, _ . or -")
    if version < 1:
        raise ValueError(f"node {name!r}: versions start at 1, not {version}")
    if retry < 0:
        raise ValueError(f"node {name!r}: `retry` says how often it is called again, at least 0, not {retry}")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"node {name!r}: `timeout` is seconds above 0, not {timeout}")
    caller = sys._getframe(1)
    # Nodes declared inside a function (tests, notebooks) name types that only that function knows.
    localns = caller.f_locals if caller.f_locals is not caller.f_globals else None

    def declare(fn: Any) -> Any:
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(
                f"node {name!r}: a function with `yield` gives its values to the first who asks, and the cache could "
                "not keep them: return a list"
            )
        if global_random and inspect.iscoroutinefunction(fn):
            raise ValueError(
                f"node {name!r}: an async node shares its thread with others, so its random numbers cannot be kept "
                "apart: use generators of its own, or a plain function"
            )
        return Node(
            NodeType(
                fn,
                name,
                version,
                category,
                cache=cache,
                fingerprint=fingerprint,
                resource=resource,
                output=output,
                side_files=side_files,
                tags=tuple(tags),
                check=check,
                migrations=migrations or {},
                flow=flow,
                needs=needs,
                resumes=tuple(resumes),
                global_random=global_random,
                retry=retry,
                timeout=timeout,
                content_key=content_key,
                localns=localns,
            )
        )

    return declare


class Declare(Protocol):
    """Takes a function and gives a node. One that may return a graph, or a Skip, stands for a value all the same."""

    @overload
    def __call__(self, fn: Callable[P, R | Graph | Skip], /) -> Node[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Node[P, R]: ...
