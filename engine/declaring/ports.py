"""Ports: what an input takes, read off a parameter's annotation, and whether a literal fits.

    steps: Annotated[int, Range(1, 1000), Help("Denoising steps.")] = 30
    dtype: Literal["auto", "float32", "float16"] = "auto"
    path:  Annotated[str, Widget("file")]

`Widget("file")` and `Widget("folder")` are more than a hint to an editor: their literals are paths to read, so `check`
says when one is missing or lies outside the folders that may be read.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

from weft.engine.declaring.axes_of import AxesOf
from weft.engine.declaring.ranges import Range
from weft.engine.declaring.types import NoneType, describe, has_typevar, is_list, is_union, item_type, without_none
from weft.graphs.problems import Code, near, shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True, init=False)
class Choices:
    """The literals an input takes, for when `Literal[...]` cannot be written: `Choices(*names())`."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)


@dataclass(frozen=True, slots=True)
class Help:
    """What an input is for, in a sentence; goes before the docstring's line."""

    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """The name of a node's single output: `-> Annotated[Image, Output("picture")]`."""

    name: str


@dataclass(frozen=True, slots=True, init=False)
class Widget:
    """How an editor shows an input: `Widget("textarea", rows=3)`, `Widget("file")`, `Widget("seed")`.

    `Widget("file", names=(...))`: what may also stand there and is no path, such as names of files that ship with a
    node; the node finds them itself.
    """

    kind: str
    options: tuple[tuple[str, Any], ...]

    def __init__(self, kind: str, **options: Any) -> None:
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "options", tuple(options.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """See above; none where it names none."""
        return tuple(dict(self.options).get("names", ()))


class Lazy(Generic[T]):
    """An input that is computed when asked for: `x: Lazy[Image]`, then `x()` (or `await x` in an async node).

    `x: list[Lazy[Image]]` is a list whose items are computed each when asked for.
    """

    __slots__ = ("_compute", "_wait")

    def __init__(self, compute: Callable[[], T], wait: Callable[[], Awaitable[T]] | None = None) -> None:
        self._compute = compute
        self._wait = wait

    def __call__(self) -> T:
        return self._compute()

    def __await__(self) -> Generator[Any, None, T]:
        async def get() -> T:
            return self._compute() if self._wait is None else await self._wait()

        return get().__await__()


class _Missing:
    def __repr__(self) -> str:
        return "<no default>"


MISSING: Any = _Missing()
"""The default of an input that must be given."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a literal does not fit a port: a check code, a sentence, what was expected, what was probably meant."""

    code: Code
    message: str
    expected: Any = None
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a node.

    Attributes:
        type: what it takes, without None; `list[X]` when `many`.
        optional: None may be given.
        choices: the literals it takes, or () for any of its type.
        lazy: the node gets a `Lazy` and decides whether it is computed; with `lazy_items`, a list of them.
    """

    name: str
    type: Any
    default: Any = MISSING
    optional: bool = False
    many: bool = False
    range: Range | None = None
    choices: tuple[Any, ...] = ()
    help: str = ""
    widget: Widget | None = None
    lazy: bool = False
    lazy_items: bool = False
    generic: bool = field(default=False)
    """Its type holds a TypeVar, so it has to agree with other ports of the node."""
    holds_paths: bool = False
    """Its literals name files or folders to read, or hold some that do, such as a `dict[str, Path]`."""
    axes_of: str = ""
    """The input whose axes the engine fills in here (`AxesOf`)."""

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def constrained(self) -> bool:
        """A value of the right type can still be wrong, so one that arrives over a link is looked at."""
        return self.range is not None or bool(self.choices)

    @property
    def is_path(self) -> bool:
        """Its literals name files or folders to read."""
        return self.widget is not None and self.widget.kind in _PATHS

    @property
    def converts(self) -> bool:
        """Whether `normal` may change a literal."""
        return self.item is float or (isinstance(self.item, type) and issubclass(self.item, PurePath))

    @property
    def item(self) -> Any:
        """What one item is: the type itself, or `X` of `list[X]`."""
        return item_type(self.type) if self.many else self.type


@dataclass(frozen=True, slots=True)
class OutputPort:
    """One output of a node."""

    name: str
    type: Any
    help: str = ""
    generic: bool = False


def input_port(name: str, annotation: Any, default: Any = MISSING, help: str = "") -> Port:
    """Read a parameter's annotation (already evaluated, with extras) as a Port."""
    whole = annotation
    annotation, extras = _strip(annotation)
    lazy = get_origin(annotation) is Lazy or annotation is Lazy
    if lazy:
        annotation, inner = _strip((get_args(annotation) or (Any,))[0])
        extras += inner
    lazy_items = False
    tp, optional = without_none(annotation)
    tp, inner = _strip(tp)
    extras += inner
    many = is_list(tp)
    choices: tuple[Any, ...] = ()
    item = tp
    if many:
        item, inner = _strip(item_type(tp))
        extras += inner
        if get_origin(item) is Lazy or item is Lazy:
            lazy = lazy_items = True
            item, inner = _strip((get_args(item) or (Any,))[0])
            extras += inner
        tp = list[item]  # type: ignore[valid-type]
    if get_origin(item) is Literal:
        choices = get_args(item)
    number_range: Range | None = None
    widget: Widget | None = None
    axes_of = ""
    for extra in extras:
        if isinstance(extra, AxesOf):
            axes_of = extra.input
        elif isinstance(extra, Range):
            number_range = extra
        elif isinstance(extra, Choices):
            choices = extra.options
        elif isinstance(extra, Help):
            help = extra.text
        elif isinstance(extra, Widget):
            widget = extra
    if widget is None and isinstance(item, type) and issubclass(item, PurePath):
        widget = Widget("file")
    return Port(
        name=name,
        type=tp,
        default=default,
        optional=optional or default is None or tp is Any or tp is object,
        many=many,
        range=number_range,
        choices=choices,
        help=help,
        widget=widget,
        lazy=lazy,
        lazy_items=lazy_items,
        generic=has_typevar(tp),
        holds_paths=(widget is not None and widget.kind in _PATHS) or _names_paths(whole),
        axes_of=axes_of,
    )


_PATHS = ("file", "folder")


def _names_paths(annotation: Any) -> bool:
    """Whether a path stands anywhere in an annotation."""
    inner, extras = _strip(annotation)
    if any(isinstance(extra, Widget) and extra.kind in _PATHS for extra in extras):
        return True
    if isinstance(inner, type) and get_origin(inner) is None:
        return issubclass(inner, PurePath)
    return any(_names_paths(part) for part in get_args(inner))


def _strip(annotation: Any) -> tuple[Any, list[Any]]:
    """Take `Annotated` apart: the type and its extras."""
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        return inner, extras
    return annotation, []


def validate(port: Port, literal: Any) -> list[Flaw]:
    """Why `literal` does not fit `port`; an empty list when it does. Nothing is coerced but int to float."""
    if literal is None:
        if port.optional:
            return []
        return [Flaw("bad_value", f"{port.name} must be {describe(port.type)}, not null.", describe(port.type))]
    if not port.many:
        flaw = _flaw(port, port.type, literal)
        return [flaw] if flaw else []
    if not isinstance(literal, (list, tuple)):
        flaw = _flaw(port, port.item, literal)
        hint = " Put it in brackets." if flaw is None else ""
        return [Flaw("bad_value", f"{port.name} takes a list, not {shown(literal)}.{hint}", describe(port.type))]
    return [flaw for item in literal if (flaw := _flaw(port, port.item, item))]


def normal(port: Port, literal: Any) -> Any:
    """The literal as the node gets it: an int at a float port as a float, a string at a Path port as a Path."""
    tp = port.item
    if tp is float:
        if port.many and isinstance(literal, (list, tuple)):
            return [float(item) if type(item) is int else item for item in literal]
        return float(literal) if type(literal) is int else literal
    if isinstance(tp, type) and issubclass(tp, PurePath):
        if port.many and isinstance(literal, (list, tuple)):
            return [Path(item) if isinstance(item, str) else item for item in literal]
        return Path(literal) if isinstance(literal, str) else literal
    return literal


_WORDS: dict[type, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _flaw(port: Port, tp: Any, literal: Any) -> Flaw | None:
    if port.choices:
        # `1 == True` and `1 == 1.0` in Python; in a document they are different values.
        if any(option == literal and type(option) is type(literal) for option in port.choices):
            return None
        hint = near(literal, [str(option) for option in port.choices]) if isinstance(literal, str) else None
        message = f"{port.name} must be one of {_listed(port.choices)}, not {shown(literal)}."
        return Flaw("not_a_choice", message, list(port.choices), hint)
    if not _fits(tp, literal):
        name = describe(tp)
        wanted = _WORDS.get(tp) or (name if is_literal_type(tp) else f"linked to a node that makes {name}")
        message = f"{port.name} must be {wanted}, not {shown(literal)}."
        return Flaw("bad_value", message, name, _repair(tp, literal))
    if port.range is not None and isinstance(literal, (int, float)) and literal not in port.range:
        expected = {"low": port.range.low, "high": port.range.high}
        return Flaw("out_of_range", f"{port.name} must be {port.range}, not {shown(literal)}.", expected)
    return None


def _fits(tp: Any, literal: Any) -> bool:
    if tp is int:
        return type(literal) is int
    if tp is float:
        kind = type(literal)
        return (kind is float and math.isfinite(literal)) or (kind is int and abs(literal) < 1 << 1023)
    if tp is str or tp is bool:
        return type(literal) is tp
    if tp is Any or tp is object:
        return True
    if is_union(tp):
        return any(_fits(arm, literal) for arm in get_args(tp))
    if get_origin(tp) is Literal:
        return any(option == literal and type(option) is type(literal) for option in get_args(tp))
    if is_list(tp):
        return isinstance(literal, (list, tuple)) and all(_fits(item_type(tp), item) for item in literal)
    if isinstance(tp, TypeVar):
        options = tp.__constraints__ or ((tp.__bound__,) if tp.__bound__ is not None else ())
        return not options or any(_fits(option, literal) for option in options)
    origin = get_origin(tp) or tp
    if origin is tuple:
        return isinstance(literal, (list, tuple)) and _fits_tuple(get_args(tp), literal)
    if origin is dict:
        value = (get_args(tp) or (Any, Any))[1]
        return isinstance(literal, dict) and all(_fits(value, item) for item in literal.values())
    if tp is NoneType:
        return literal is None
    if isinstance(origin, type) and issubclass(origin, PurePath):
        return isinstance(literal, (str, PurePath))
    # A value such as an image: a document cannot hold one, a plain Python call can.
    return isinstance(origin, type) and isinstance(literal, origin)


def _fits_tuple(items: tuple[Any, ...], literal: Any) -> bool:
    if len(items) == 2 and items[1] is Ellipsis:
        return all(_fits(items[0], item) for item in literal)
    return not items or (len(items) == len(literal) and all(map(_fits, items, literal)))


def is_literal_type(tp: Any) -> bool:
    """Whether a document can hold a value of this type as it is."""
    origin = get_origin(tp) or tp
    if is_union(tp):
        return any(map(is_literal_type, get_args(tp)))
    return not isinstance(origin, type) or issubclass(origin, (int, float, str, list, tuple, dict, PurePath, NoneType))


def _repair(tp: Any, literal: Any) -> str | None:
    """What was probably meant, as it would stand in the document."""
    if tp is bool and isinstance(literal, str) and literal.lower() in ("true", "false"):
        return literal.lower()
    if tp in (int, float) and isinstance(literal, str):
        try:
            number = float(literal)
        except ValueError:
            return None
        return literal if math.isfinite(number) and (tp is float or number.is_integer()) else None
    if tp is int and isinstance(literal, float) and math.isfinite(literal):
        return str(round(literal))
    return None


def _listed(options: Any) -> str:
    return ", ".join(shown(option) for option in options)
