"""Types of ports: which source fits which port, and how a type is written for people.

Compatibility follows Python's typing: a subclass fits its base, an int fits a float, `X` fits `X | None`, everything
fits `Any`. Nothing else converts. A bool is no int here, although Python's class tree says so: `true` for a number of
steps is always a mistake.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

Bindings = Mapping[Any, Any]
"""What each TypeVar stands for at one node: TypeVar -> type."""

NoneType = type(None)


def is_union(tp: Any) -> bool:
    """Whether `tp` is `X | Y` (either spelling)."""
    return get_origin(tp) in (Union, types.UnionType)


def without_none(tp: Any) -> tuple[Any, bool]:
    """Take None out of a union: (`X`, True) for `X | None`, (`X`, False) for `X`."""
    if not is_union(tp):
        return tp, False
    rest = tuple(arm for arm in get_args(tp) if arm is not NoneType)
    if len(rest) == len(get_args(tp)):
        return tp, False
    return (rest[0] if len(rest) == 1 else Union[rest]), True  # noqa: UP007 (the arms are only known at run time)


def is_list(tp: Any) -> bool:
    """Whether `tp` is `list` or `list[X]`."""
    return tp is list or get_origin(tp) is list


def item_type(tp: Any) -> Any:
    """`X` of `list[X]`; `Any` of a bare `list`."""
    return (get_args(tp) or (Any,))[0]


def _widen(tp: Any) -> Any:
    """The type of a Literal's options, when they share one."""
    if get_origin(tp) is Literal:
        kinds = {type(option) for option in get_args(tp)}
        return kinds.pop() if len(kinds) == 1 else Any
    return tp


@lru_cache(maxsize=4096)
def accepts(port: Any, source: Any) -> bool:
    """Whether a value of type `source` may be wired into a port of type `port`.

    A `str` may be wired into a `Literal[...]` of strings: whether it is one of the options is known only when it
    arrives, and is checked then. TypeVars are taken by their bound or constraints; linking the types of several ports
    of one node is the business of `bind`.
    """
    if port is Any or source is Any or port is object:
        return True
    if is_union(source):
        return all(accepts(port, arm) for arm in get_args(source))
    if is_union(port):
        return any(accepts(arm, source) for arm in get_args(port))
    if isinstance(port, TypeVar):
        options = options_of(port)
        return not options or any(accepts(option, source) for option in options)
    if isinstance(source, TypeVar):
        return accepts(port, source.__bound__) if source.__bound__ is not None else True
    port, source = _widen(port), _widen(source)
    if port is Any or source is Any:
        return True
    if is_list(port) or is_list(source):
        return is_list(port) and is_list(source) and accepts(item_type(port), item_type(source))
    port_class, source_class = get_origin(port) or port, get_origin(source) or source
    if not (isinstance(port_class, type) and isinstance(source_class, type)):
        return bool(port == source)
    if source_class is bool:
        return port_class is bool
    if port_class is float and source_class is int:
        return True
    if issubclass(port_class, PurePath) and source_class is str:
        return True
    return issubclass(source_class, port_class)


def bind(port: Any, source: Any, bindings: dict[Any, Any]) -> bool:
    """Like `accepts`, but a TypeVar met in `port` must stand for one type at the whole node.

    The first source binds it; a later one must fit, or be a base that everything seen so far fits (then it widens).
    """
    if isinstance(port, TypeVar):
        if not accepts(port, source):
            return False
        bound = bindings.get(port, source)
        if bound is Any or accepts(bound, source):
            bindings[port] = bound
        elif accepts(source, bound):
            bindings[port] = source
        else:
            return False
        return True
    if is_list(port) and is_list(source) and isinstance(item_type(port), TypeVar):
        return bind(item_type(port), item_type(source), bindings)
    if is_union(port):
        arms = get_args(port)
        if any(not isinstance(arm, TypeVar) and accepts(arm, source) for arm in arms):
            return True
        return any(bind(arm, source, bindings) for arm in arms if isinstance(arm, TypeVar))
    return accepts(port, source)


def substitute(tp: Any, bindings: Bindings) -> Any:
    """`tp` with its TypeVars replaced by what they stand for; `Any` where nothing was wired."""
    if isinstance(tp, TypeVar):
        return bindings.get(tp, Any)
    if is_list(tp) and isinstance(item_type(tp), TypeVar):
        return list[substitute(item_type(tp), bindings)]  # type: ignore[misc]
    if is_union(tp) and has_typevar(tp):
        return Union[tuple(substitute(arm, bindings) for arm in get_args(tp))]  # noqa: UP007
    return tp


def options_of(variable: TypeVar) -> tuple[Any, ...]:
    """The types that a TypeVar may stand for; none for any."""
    return variable.__constraints__ or ((variable.__bound__,) if variable.__bound__ is not None else ())


def variables(tp: Any) -> dict[str, list[str]]:
    """The TypeVars in a type by name, each with what it may stand for, as text; nothing for any."""
    parts = (tp, *get_args(tp))
    return {part.__name__: list(map(describe, options_of(part))) for part in parts if isinstance(part, TypeVar)}


def has_typevar(tp: Any) -> bool:
    """Whether a TypeVar stands anywhere in `tp` (one level into lists and unions, as deep as ports go)."""
    return isinstance(tp, TypeVar) or any(isinstance(arg, TypeVar) for arg in get_args(tp))


def describe(tp: Any) -> str:
    """`tp` as a person writes it: `list[Guidance]`, `int | None`, `"auto" | "cpu"`, `any`."""
    if tp is Any or tp is object:
        return "any"
    if tp is NoneType or tp is None:
        return "None"
    if isinstance(tp, TypeVar):
        return tp.__name__
    if is_union(tp):
        return " | ".join(describe(arm) for arm in get_args(tp))
    if get_origin(tp) is Literal:
        return " | ".join(f'"{option}"' if isinstance(option, str) else repr(option) for option in get_args(tp))
    arguments = get_args(tp)
    name = str(getattr(get_origin(tp) or tp, "__name__", tp))
    return f"{name}[{', '.join(describe(argument) for argument in arguments)}]" if arguments else name
