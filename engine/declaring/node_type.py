"""A node's declaration, read off its function, and what its own check sees of the graph around it."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from weft.engine.declaring.context import Context
from weft.engine.declaring.docstrings import parse_docstring
from weft.engine.declaring.ports import MISSING, Output, OutputPort, Port, input_port
from weft.engine.declaring.skip import Skip
from weft.engine.declaring.types import NoneType, has_typevar, is_list, is_union, item_type, without_none
from weft.engine.ownership import copy_for
from weft.graphs.builder import Graph
from weft.graphs.problems import Problem

CachePolicy = Literal["pure", "never"]
Resource = Literal["cpu", "io", "device"]
Flow = Literal["", "map", "collect", "pass", "loop"]
Needs = Callable[[Mapping[str, Any]], Iterable[str | tuple[str, int]]]
Migration = Callable[[dict[str, Any]], dict[str, Any]]
StaticCheck = Callable[["NodeView"], Iterable[Problem]]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class NodeType:
    """A node's declaration. `inputs`, `outputs` and `help` are read off the function when first asked for.

    Attributes:
        name: what a document calls it; `version` rises when its meaning changes.
        fn: the function itself.
        cache: "pure" when equal inputs give equal results, "never" when it has to run every time.
        fingerprint: called with the literal inputs while planning; what it returns enters the key. A parameter `ctx`
            gets a Context that reads what the node may read.
        resource: the lane it runs on.
        output: a run without targets runs this node and what it needs.
        side_files: it writes files, so the output folder enters its key.
        tags: words that other nodes' checks look for, such as "guidance:base" or, with an argument, "size:of=image".
        migrations: version n -> function from its inputs to those of version n + 1.
        flow: what it is to the engine itself: "map" and "collect" bound a part that runs per item, "pass" hands on
            one of its inputs, which is not worth a place in the cache, and "loop" hands its inputs to a graph.
        steers: whether it only decides what others get: it is not kept, and counts as no work.
        needs: tells from the other inputs which lazy ones it will ask for, so that they are there when it is called.
        resumes: inputs in which it may differ from an earlier run that it goes on from.
        global_random: whether it draws from generators of the process; None where its code is to tell.
        retry: how often it is called again when it failed.
        timeout: seconds that a call may take; None for no limit.
        content_key: whether its users are named by what it gives, and not by how that came about.
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
        resumes: tuple[str, ...] = (),
        global_random: bool | None = None,
        retry: int = 0,
        timeout: float | None = None,
        content_key: bool = False,
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
        self.steers = flow in ("map", "collect", "pass")
        self.needs = needs
        self.resumes = resumes
        self.global_random = global_random
        self.retry = retry
        self.timeout = timeout
        self.content_key = content_key
        self.is_async = inspect.iscoroutinefunction(fn)
        self._localns = localns

    def __repr__(self) -> str:
        return f"<node {self.name} v{self.version} from {self.place}>"

    @property
    def origin(self) -> str:
        """Where it is declared, as `module.function`."""
        return f"{self.fn.__module__}.{self.fn.__qualname__}"

    @property
    def place(self) -> str:
        """Where it is declared, with file and line."""
        return place(self.fn)

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
    def parameters(self) -> tuple[str, ...]:
        """The function's parameters in order: its inputs, and the Context where it takes one."""
        return tuple(inspect.signature(self.fn).parameters)

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
        annotation = value_type(self._hints.get("return", Any))
        if annotation is NoneType:
            return {}
        if is_named_tuple(annotation):
            hints = typing.get_type_hints(annotation, localns=dict(self._localns or {}), include_extras=True)
            helps = parse_docstring(inspect.getdoc(annotation) or "")[1]
            return {name: self._output(name, hints[name], helps.get(name, "")) for name in annotation._fields}
        name = ""
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            annotation = value_type(annotation)
            name = next((extra.name for extra in extras if isinstance(extra, Output)), "")
        name = name or default_output_name(annotation)
        return {name: self._output(name, annotation)}

    @staticmethod
    def _output(name: str, annotation: Any, help: str = "") -> OutputPort:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        annotation = value_type(annotation)
        return OutputPort(name, annotation, help, has_typevar(annotation))

    @functools.cached_property
    def required(self) -> tuple[str, ...]:
        """Names of the inputs that must be given."""
        return tuple(name for name, port in self.inputs.items() if port.required)

    @functools.cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The defaults of the inputs that need not be given."""
        return {name: port.default for name, port in self.inputs.items() if port.default is not MISSING}

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
    def changing_defaults(self) -> dict[str, Any]:
        """Defaults that a call could change for the next one, such as a list."""
        found = {name: port.default for name, port in self.inputs.items() if not port.required and not port.lazy}
        return {name: default for name, default in found.items() if copy_for(default) is not default}

    @functools.cached_property
    def constrained(self) -> frozenset[str]:
        """Inputs whose values are looked at when they arrive over a link, since their type does not say it all."""
        return frozenset(name for name, port in self.inputs.items() if port.constrained)

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """Inputs whose literals name files or folders to read, or hold some that do."""
        return frozenset(name for name, port in self.inputs.items() if port.holds_paths)

    @functools.cached_property
    def lazy(self) -> frozenset[str]:
        """Inputs that are given as `Lazy`."""
        return frozenset(name for name, port in self.inputs.items() if port.lazy)

    @functools.cached_property
    def several_outputs(self) -> bool:
        """Whether the function returns a NamedTuple of its outputs."""
        return is_named_tuple(value_type(self._hints.get("return")))

    @functools.cached_property
    def returns_graph(self) -> bool:
        """Whether the function declares that it may return a graph, so that nobody knows beforehand what will run."""
        annotation = self._hints.get("return")
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        return Graph in (get_args(annotation) if is_union(annotation) else (annotation,))

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


class NodeView(Protocol):
    """What a node's own `check` sees of the graph around it."""

    @property
    def id(self) -> str:
        """The node's id."""

    @property
    def type(self) -> NodeType:
        """Its declaration."""

    @property
    def literals(self) -> Mapping[str, Any]:
        """Inputs given as literals, and the defaults of those that are not given; linked ones are absent."""

    def sources(self, input: str) -> list[tuple[str, NodeType]]:
        """The nodes linked to an input: id and declaration, in the order of the list."""

    def users(self) -> list[NodeView]:
        """The nodes that link to this one. Their own inputs may still be wrong: trust no type."""

    def other(self, id: str) -> NodeView | None:
        """Another node of the graph, such as one of the `sources`; None where its type is unknown."""

    def path(self, text: str) -> Path | None:
        """The file or folder that a literal names, where it is there and may be read."""

    def resolve(self, text: str) -> Path:
        """What `Context.resolve_input_path` will give for a literal; it need not be there. Raises InputPathError."""


def place(fn: Callable[..., Any]) -> str:
    """Where a function is written: `module.function (file:line)`."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return f"{fn.__module__}.{fn.__qualname__}{where}"


def value_type(annotation: Any) -> Any:
    """The type of a node's value, whatever it may return instead of one: `X` of `X | Graph | Skip`."""
    arms = get_args(annotation) if is_union(annotation) else ()
    kept = [arm for arm in arms if arm is not Graph and arm is not Skip]
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
