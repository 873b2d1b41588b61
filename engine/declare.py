"""`@node`: a function becomes a node, and its signature is the schema.

    @node("blend", category="latents")
    def blend(a: Latents, b: Latents, amount: Annotated[float, Range(0, 1)] = 0.5) -> Latents:
        \"\"\"Mix two latents.

        Args:
            amount: share of `b`.
        \"\"\"

Inside `with Graph():` a call records the node and returns a handle; outside it computes.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin

from engine.context import Context
from engine.docstrings import parse_docstring
from engine.ports import MISSING, Lazy, Output, OutputPort, Port, input_port
from engine.types import NoneType, has_typevar, is_list, is_union, item_type, without_none
from engine.view import Declare, P, R
from engine.view import NodeView as NodeView
from graphs.builder import Graph, current_graph
from graphs.problems import Problem, near

CachePolicy = Literal["pure", "never"]
Resource = Literal["cpu", "io", "device"]
Flow = Literal["", "map", "collect", "pass"]
Needs = Callable[[Mapping[str, Any]], Iterable[str | tuple[str, int]]]
Migration = Callable[[dict[str, Any]], dict[str, Any]]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


StaticCheck = Callable[[Any], Iterable[Problem]]


class NodeType:
    """A node's declaration. `inputs`, `outputs` and `help` are read off the function when first asked for.

    Attributes:
        name: what a document calls it; `version` rises when its meaning changes.
        fn: the function itself.
        cache: "pure" when equal inputs give equal results, "never" when it has to run every time.
        fingerprint: called with the literal inputs while planning; what it returns enters the key.
        resource: the lane it runs on.
        output: a run without targets runs this node and what it needs.
        side_files: it writes files, so the output folder enters its key.
        tags: words that other nodes' checks look for, such as "guidance:base".
        migrations: version n -> function from its inputs to those of version n + 1.
        flow: what it is to the engine itself: "map" and "collect" bound a part that runs per item, "pass" hands on
            one of its inputs, which is not worth a place in the cache.
        needs: tells from the other inputs which lazy ones it will ask for, so that they are there when it is called.
    """

    stands = False
    """Whether it stands for a value and not for a function."""

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        version: int,
        category: str,
        *,
        cache: CachePolicy,
        fingerprint: Callable[..., str] | None,
        resource: Resource,
        output: bool,
        side_files: bool,
        tags: tuple[str, ...],
        check: StaticCheck | None,
        migrations: Mapping[int, Migration],
        flow: Flow = "",
        needs: Needs | None = None,
        localns: Mapping[str, Any] | None = None,
    ) -> None:
        self.fn = fn
        self.name = name
        self.version = version
        self.category = category
        self.cache = cache
        self.fingerprint = fingerprint
        self.resource = resource
        self.output = output
        self.side_files = side_files
        self.tags = tags
        self.check = check
        self.migrations = dict(migrations)
        self.flow = flow
        self.needs = needs
        self.is_async = inspect.iscoroutinefunction(fn)
        self._localns = localns

    def __repr__(self) -> str:
        return f"<node {self.name} v{self.version} from {self.origin}>"

    @property
    def origin(self) -> str:
        """Where it is declared, as `module.function`."""
        return f"{self.fn.__module__}.{self.fn.__qualname__}"

    @functools.cached_property
    def _doc(self) -> tuple[str, dict[str, str]]:
        return parse_docstring(inspect.getdoc(self.fn) or "")

    @property
    def help(self) -> str:
        """The docstring up to `Args:`."""
        return self._doc[0]

    @property
    def summary(self) -> str:
        """The docstring's first paragraph, on one line."""
        return " ".join(self.help.split("\n\n", 1)[0].split())

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self.fn, localns=dict(self._localns or {}), include_extras=True)
        except NameError as error:
            raise TypeError(f"node {self.name!r} ({self.origin}): an annotation cannot be read: {error}") from error

    @functools.cached_property
    def inputs(self) -> dict[str, Port]:
        """Its inputs by name, in the order of the signature."""
        ports: dict[str, Port] = {}
        for name, parameter in inspect.signature(self.fn).parameters.items():
            if name == self.context_parameter:
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise TypeError(f"node {self.name!r} ({self.origin}): *args, **kwargs and / cannot be ports")
            default = MISSING if parameter.default is parameter.empty else parameter.default
            ports[name] = input_port(name, self._hints.get(name, Any), default, self._doc[1].get(name, ""))
        return ports

    @functools.cached_property
    def outputs(self) -> dict[str, OutputPort]:
        """Its outputs by name; a NamedTuple has several, None has none."""
        annotation = without_graph(self._hints.get("return", Any))
        if annotation is NoneType:
            return {}
        if is_named_tuple(annotation):
            hints = typing.get_type_hints(annotation, localns=dict(self._localns or {}), include_extras=True)
            helps = parse_docstring(inspect.getdoc(annotation) or "")[1]
            return {name: self._output(name, hints[name], helps.get(name, "")) for name in annotation._fields}
        name = ""
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            annotation = without_graph(annotation)
            name = next((extra.name for extra in extras if isinstance(extra, Output)), "")
        name = name or default_output_name(annotation)
        return {name: self._output(name, annotation)}

    @staticmethod
    def _output(name: str, annotation: Any, help: str = "") -> OutputPort:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        return OutputPort(name, annotation, help, has_typevar(annotation))

    @functools.cached_property
    def required(self) -> tuple[str, ...]:
        """Names of the inputs that must be given."""
        return tuple(name for name, port in self.inputs.items() if port.required)

    @functools.cached_property
    def generic(self) -> bool:
        """Whether types flow through it: an input or output has a TypeVar."""
        return any(port.generic for port in self.inputs.values()) or any(out.generic for out in self.outputs.values())

    @functools.cached_property
    def output_positions(self) -> dict[str | None, int]:
        """Where each output stands in the result; None is the first."""
        return {None: 0} | {name: position for position, name in enumerate(self.outputs)}

    @functools.cached_property
    def first_output(self) -> str:
        """Name of the output that a link without one leads to; "" when there is none."""
        return next(iter(self.outputs), "")

    @functools.cached_property
    def constrained(self) -> frozenset[str]:
        """Inputs whose values are looked at when they arrive over a link, since their type does not say it all."""
        return frozenset(name for name, port in self.inputs.items() if port.constrained)

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """Inputs whose literals are paths of files to read."""
        return frozenset(
            name for name, port in self.inputs.items() if port.widget is not None and port.widget.kind == "file"
        )

    @functools.cached_property
    def lazy(self) -> frozenset[str]:
        """Inputs that are given as `Lazy`."""
        return frozenset(name for name, port in self.inputs.items() if port.lazy)

    @functools.cached_property
    def several_outputs(self) -> bool:
        """Whether the function returns a NamedTuple of its outputs."""
        return is_named_tuple(without_graph(self._hints.get("return")))

    @functools.cached_property
    def context_parameter(self) -> str | None:
        """Name of the parameter that takes the Context, if it has one."""
        for name, parameter in inspect.signature(self.fn).parameters.items():
            # Read as text first: finding it must not need every other annotation to resolve.
            text = parameter.annotation if isinstance(parameter.annotation, str) else ""
            if parameter.annotation is Context or re.fullmatch(r"(?:engine\.)?Context(?:\s*\|\s*None)?", text):
                return name
            if without_none(parameter.annotation)[0] is Context:
                return name
        return None

    @functools.cached_property
    def context_position(self) -> int:
        """Where the Context stands among the parameters; -1 when there is none."""
        return (
            list(inspect.signature(self.fn).parameters).index(self.context_parameter or "")
            if self.context_parameter
            else -1
        )


class Node(Generic[P, R]):
    """What `@node` makes of a function: the same callable, which records itself inside `with Graph():`."""

    def __init__(self, node_type: NodeType) -> None:
        self.node_type = node_type
        functools.update_wrapper(cast(Any, self), node_type.fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        graph = current_graph()
        if graph is not None:
            return cast(R, self._record(graph, args, kwargs))
        context = self.node_type.context_parameter
        if context is not None and not self._gives_context(context, args, kwargs):
            kwargs[context] = Context()
        if self.node_type.lazy:
            args, kwargs = self._deferred(args, kwargs)  # type: ignore[assignment]
        return cast(R, self.node_type.fn(*args, **kwargs))

    def __repr__(self) -> str:
        return repr(self.node_type)

    def _deferred(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """In a plain call the values of lazy inputs are there already."""
        names = list(inspect.signature(self.node_type.fn).parameters)
        given = dict(zip(names, args, strict=False)) | kwargs
        for name in given.keys() & self.node_type.lazy:
            if self.node_type.inputs[name].lazy_items:
                given[name] = [_lazily(item) for item in given[name]]
            else:
                given[name] = _lazily(given[name])
        return (), given

    def _gives_context(self, context: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        if kwargs.get(context) is not None:
            return True
        position = self.node_type.context_position
        return len(args) > position and args[position] is not None

    def _record(self, graph: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        node_type = self.node_type
        ports = node_type.inputs
        given = dict(kwargs)
        given.pop(node_type.context_parameter or "", None)
        if len(args) > len(ports):
            raise TypeError(f"{node_type.name}() takes {len(ports)} inputs, {len(args)} were given")
        for name, item in zip(ports, args, strict=False):
            if name in given:
                raise TypeError(f"{node_type.name}() got input {name!r} twice")
            given[name] = item
        for name in given:
            if name not in ports:
                hint = near(name, ports)
                raise TypeError(
                    f"{node_type.name}() has no input {name!r}; "
                    + (f"did you mean {hint!r}?" if hint else f"it has {', '.join(ports) or 'none'}")
                )
        missing = [name for name, port in ports.items() if port.required and name not in given]
        if missing:
            raise TypeError(f"{node_type.name}() needs {', '.join(map(repr, missing))}")
        inputs = {name: given[name] for name in ports if name in given and not _is_default(ports[name], given[name])}
        return graph.add(node_type.name, inputs, tuple(node_type.outputs))


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
) -> Declare:
    """Declare a function as a node.

    Args:
        name: what documents call it.
        version: raise it when the meaning of inputs or outputs changes; then give a migration.
        category: where an editor lists it.
        cache: "never" for what must run each time (clocks, random numbers without a seed).
        fingerprint: `f(**literal_inputs) -> str`, called while planning, for inputs that name something that can
            change; return a hash of what is there. It has to be light. Where an input that it needs is linked, the
            node runs each time. A node with `Widget("file")` inputs and no fingerprint has their content hashes.
        resource: "device" for what needs the accelerator alone, "io" for what waits, else "cpu".
        output: a run without targets runs it.
        side_files: it writes into the output folder.
        tags: words for other nodes' checks.
        check: `f(view: NodeView) -> problems`, called by `check` for what types cannot say.
        migrations: `{1: f}` turns the inputs of version 1 into those of version 2, and so on.
        flow: see `NodeType`; for nodes that steer the others.
        needs: `f(other_inputs) -> names of the lazy inputs that it will ask for` (or `(name, index)` for one of a
            `list[Lazy[X]]`). They are computed first, and no thread has to wait for them inside the node.

    Raises:
        ValueError: the name is none, or the version is below 1.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no node name: a letter or _, then up to 63 letters, digits, _ . or -")
    if version < 1:
        raise ValueError(f"node {name!r}: versions start at 1, not {version}")
    caller = sys._getframe(1)
    # Nodes declared inside a function (tests, notebooks) name types that only that function knows.
    localns = caller.f_locals if caller.f_locals is not caller.f_globals else None

    def declare(fn: Any) -> Any:
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
                localns=localns,
            )
        )

    return declare


def without_graph(annotation: Any) -> Any:
    """The type of a node's value where it may return a `Graph` instead: `X` of `X | Graph`."""
    arms = get_args(annotation) if is_union(annotation) else ()
    kept = [arm for arm in arms if arm is not Graph]
    if len(kept) == len(arms):
        return annotation
    return kept[0] if len(kept) == 1 else Union[tuple(kept)]  # noqa: UP007 (known at run time only)


def is_named_tuple(annotation: Any) -> bool:
    """Whether an annotation is a NamedTuple class."""
    return isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")


def default_output_name(tp: Any) -> str:
    """The name of an output that nobody named: its type's, in lower case; "path" for files, "items" for lists."""
    tp = without_none(tp)[0]
    if is_list(tp):
        name = default_output_name(item_type(tp))
        return "items" if name == "value" else f"{name}s"
    name = str(getattr(tp, "__name__", "value"))
    if name == "Files":
        return "path"
    plain = isinstance(tp, TypeVar) or tp in (int, float, str, bool, bytes, dict, tuple, object, Any)
    return "value" if plain or get_origin(tp) is not None else name.lower()
