"""Definitions from Python: a function of nodes that stands in documents under its name, once, however often it is used.

    @definition
    def picture(model: Model, text: str, seed: int = 0) -> Image:
        return decode(model, denoise(model, guidance=[cfg(encode_prompt(model, text))], seed=seed).latents)

    with Graph() as g:
        model = load_model("shapes")
        save_image(picture(model, "a red circle"), "red")
        save_image(picture(model, "a blue square", seed=3), "blue")

Outside of `with Graph()` a call just computes, and its inputs are looked at, as with nodes.
"""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, cast, get_args, get_origin, overload

from weft.engine.declaring.arguments import check_items
from weft.engine.declaring.docstrings import parse_docstring
from weft.engine.declaring.node_type import default_output_name, is_named_tuple, place
from weft.engine.declaring.ports import MISSING, Output, Port, input_port
from weft.engine.declaring.types import NoneType, describe, has_typevar
from weft.graphs.builder import Graph, Handle, current_graph
from weft.graphs.document import Definition, DefinitionInput, DefinitionOutput
from weft.graphs.inputs import literal

P = ParamSpec("P")
R = TypeVar("R")


class Defined(Generic[P, R]):
    """What `@definition` makes of a function: the same callable, recorded as one node inside `with Graph()`."""

    def __init__(self, fn: Callable[P, R], name: str, localns: Mapping[str, Any] | None) -> None:
        self.fn = fn
        self.name = name
        self._localns = localns
        functools.update_wrapper(cast(Any, self), fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        graph = current_graph()
        if graph is None:
            return self._call(args, kwargs)
        given = self.signature.bind(*args, **kwargs).arguments
        made = graph.define(self.name, self, lambda: self._record(graph))
        return cast(R, graph.add(self.name, given, tuple(made.outputs), declaration=self))

    def __repr__(self) -> str:
        return f"<definition {self.name} from {place(self.fn)}>"

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        """Compute, with inputs that fit the types that the definition declares."""
        bound = self.signature.bind(*args, **kwargs)
        inputs: dict[str, Any] = dict(bound.arguments)
        check_items(self.name, self._ports, inputs, [])
        bound.arguments.update(inputs)
        return self.fn(*bound.args, **bound.kwargs)

    @functools.cached_property
    def _ports(self) -> dict[str, Port]:
        """What a call looks at: the types that a document has of the definition, and no more than these."""
        ports = {}
        for name, parameter in self.signature.parameters.items():
            annotation = self._hints.get(name, Any)
            port = input_port(name, annotation)
            if _named(annotation) is not None:
                default = MISSING if parameter.default is parameter.empty else parameter.default
                ports[name] = Port(name, port.type, default, port.optional, port.many)
        return ports

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """Of the function. Raises TypeError when its parameters cannot all be inputs."""
        signature = inspect.signature(self.fn)
        for name, parameter in signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"definition {self.name!r}: *args and **kwargs cannot be inputs (parameter {name!r})")
        return signature

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.fn, localns=dict(self._localns or {}), include_extras=True)

    @property
    def inputs(self) -> dict[str, DefinitionInput]:
        """The function's parameters. Raises TypeError for a default that is not JSON."""
        helps = parse_docstring(inspect.getdoc(self.fn) or "")[1]
        found = {}
        for name, parameter in self.signature.parameters.items():
            fields: dict[str, Any] = {"type": _named(self._hints.get(name, Any)), "description": helps.get(name, "")}
            if parameter.default is not parameter.empty:
                try:
                    fields["default"] = literal(parameter.default)
                except (TypeError, ValueError) as error:
                    raise TypeError(f"definition {self.name!r}: the default of {name!r}: {error}") from None
            found[name] = DefinitionInput(**fields)
        return found

    def _record(self, graph: Graph) -> Definition:
        inputs = self.inputs
        body, given = graph.body(inputs)
        with body:
            made = cast(Any, self.fn)(**given)
        help = parse_docstring(inspect.getdoc(self.fn) or "")[0]
        outputs = self._outputs(made)
        for name, (handle, _) in outputs.items():
            if handle.graph is not body:
                raise ValueError(f"definition {self.name!r}: {name!r} is {handle!r}, which belongs to another graph")
        links = {name: DefinitionOutput(link=handle.link, type=type) for name, (handle, type) in outputs.items()}
        return Definition(description=help, inputs=inputs, nodes=body.workflow().nodes, outputs=links)

    def _outputs(self, made: Any) -> dict[str, tuple[Handle, str | None]]:
        """Name -> handle and type of what the function returned."""
        annotation = self._hints.get("return", Any)
        if annotation is NoneType or made is None:
            return {}
        if is_named_tuple(annotation):
            hints = typing.get_type_hints(annotation, localns=dict(self._localns or {}))
            # A node of the same outputs may be returned as it is.
            values = made if isinstance(made, tuple) else [made[name] for name in annotation._fields]
            if len(values) != len(annotation._fields):
                raise TypeError(f"definition {self.name!r} returns {len(values)} values, not {annotation._fields}")
            named = zip(annotation._fields, values, strict=True)
            found = {name: (value, _named(hints[name])) for name, value in named}
        else:
            extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
            plain = get_args(annotation)[0] if extras else annotation
            name = next((extra.name for extra in extras if isinstance(extra, Output)), default_output_name(plain))
            found = {name: (made, _named(plain))}
        for name, (value, _) in found.items():
            if not isinstance(value, Handle):
                raise TypeError(f"definition {self.name!r}: {name!r} is {value!r}, which no node made")
        return found


def _named(annotation: Any) -> str | None:
    """A type as a document names it; None for one that only its ports know."""
    port = input_port("", annotation)
    if port.choices or has_typevar(port.type) or port.type in (Any, object):
        return None
    text = describe(port.type)
    return f"{text} | None" if port.optional else text


@overload
def definition(fn: Callable[P, R], /) -> Defined[P, R]: ...


@overload
def definition(*, name: str) -> Callable[[Callable[P, R]], Defined[P, R]]: ...


def definition(fn: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Declare a function of nodes as a definition. It is called once a document, with handles for all its parameters.

    Args:
        fn: the function. Its annotations are the types, its defaults JSON data, a NamedTuple names several outputs.
        name: what documents call it; by default the function's name.
    """
    caller = sys._getframe(1)
    localns = caller.f_locals if caller.f_locals is not caller.f_globals else None

    def declare(fn: Callable[..., Any]) -> Defined[..., Any]:
        return Defined(fn, name or fn.__name__, localns)

    return declare if fn is None else declare(fn)
