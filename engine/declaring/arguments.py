"""What a node is called with in Python: inputs by name, and in a plain call what `check` would say of them.

A run calls a node's function itself, with inputs that were checked before; nothing here is on its way.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, is_typeddict

from weft.engine.declaring.called import own_check
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import Flaw, Lazy, Port, is_literal_type, validate
from weft.engine.declaring.types import describe, is_list, is_union, without_none
from weft.graphs.builder import Handle
from weft.graphs.inputs import literal
from weft.graphs.problems import Problem, near

SHOWN = 5
"""How much is said of one input: a list can be long."""


def by_name(
    node_type: NodeType, names: Iterable[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The inputs of a call by name, and what is wrong with the names, a sentence each.

    names: those that positions stand for, in order; what is none of the node's inputs, such as `ctx`, may be among
    them and is not looked at.
    """
    ports, call = node_type.inputs, f"{node_type.name}()"
    names = list(names)
    inputs, wrong = dict(kwargs), []
    if len(args) > len(names):
        wrong.append(f"{call} takes {len(names)} inputs, {len(args)} were given")
    for name, item in zip(names, args, strict=False):
        if name in inputs:
            wrong.append(f"{call} got input {name!r} twice")
        inputs[name] = item
    for name in inputs:
        if name not in ports and name != node_type.context_parameter:
            hint = near(name, ports)
            others = f"did you mean {hint!r}?" if hint else f"it has {', '.join(ports) or 'none'}"
            wrong.append(f"{call} has no input {name!r}; {others}")
    missing = [name for name in node_type.required if name not in inputs]
    if missing:
        wrong.append(f"{call} needs {', '.join(map(repr, missing))}")
    return inputs, wrong


def check_call(node_type: NodeType, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a call outside of a graph by name, looked at as `check` looks at a document.

    Values count as what arrives over a link, and so may be of any subclass. What a type cannot tell is let through.
    A lone value, such as one image, at an input that takes a list of them becomes a list of one.

    Raises:
        TypeError: an input is unknown, missing or given twice, or of another type.
        ValueError: all types are right, and a value is out of range or none of the choices, or the node's own check
            says that they do not go together.
        Either message holds everything that is wrong with the call.
    """
    inputs, wrong = by_name(node_type, node_type.parameters, args, kwargs)
    check_items(node_type.name, node_type.inputs, inputs, wrong)
    if problems := own_check(node_type, inputs):
        raise ValueError("\n".join(f"{node_type.name}(): {problem.message}{_hint(problem)}" for problem in problems))
    return inputs


def check_items(name_of_call: str, ports: Mapping[str, Port], inputs: dict[str, Any], wrong: list[str]) -> None:
    """Look at each input of a call, as `check_call` does; lone values become lists in `inputs`.

    Args:
        wrong: what is wrong with the names of the inputs.

    Raises:
        TypeError, ValueError: as `check_call`, with what is in `wrong`.
    """
    of_types = bool(wrong)
    for name, port in ports.items():
        if name not in inputs or inputs[name] is port.default:
            continue
        if port.many and _is_lone_value(port, inputs[name]):
            inputs[name] = [inputs[name]]
        flaws = _flaws(port, inputs[name])
        for flaw in itertools.islice(flaws, SHOWN):
            wrong.append(f"{name_of_call}(): {flaw.message}{_hint(flaw)}")
            of_types = of_types or flaw.code == "bad_value"
        if next(flaws, None) is not None:
            wrong.append(f"{name_of_call}(): {name} has more that is wrong than these {SHOWN}.")
    if wrong:
        raise (TypeError if of_types else ValueError)("\n".join(wrong))


def _hint(flaw: Flaw | Problem) -> str:
    return f" Did you mean {flaw.suggestion!r}?" if flaw.suggestion else ""


def _is_lone_value(port: Port, item: Any) -> bool:
    """No literal: a text where texts are taken is far more often a mistake than a list of one."""
    if isinstance(item, (list, tuple, Lazy)) or item is None or is_literal_type(port.item):
        return False
    return _can_tell(port.item) and not validate(Port(port.name, port.item), item)


def _flaws(port: Port, item: Any) -> Iterator[Flaw]:
    if port.lazy:
        if isinstance(item, Lazy):
            return  # not to be computed for a look
        if port.lazy_items and isinstance(item, (list, tuple)):
            item = [part for part in item if not isinstance(part, Lazy)]
    flaws = _validate(port, item)
    if not flaws:
        return
    if not port.many or not isinstance(item, (list, tuple)):
        for flaw in flaws:
            yield from _of_item(port, port.type, item, flaw, port.name)
        return
    one = Port(port.name, port.item, optional=without_none(port.item)[1], range=port.range, choices=port.choices)
    for number, part in enumerate(item):
        for flaw in _validate(one, part):
            yield from _of_item(one, port.item, part, flaw, f"{port.name}[{number}]")


def _validate(port: Port, item: Any) -> list[Flaw]:
    """As `validate`, but numbers of numpy, enums and paths count as in a graph: as what a document would hold."""
    try:
        flaws = validate(port, item)
    except TypeError:  # a type that `isinstance` does not take
        return []
    if not flaws:
        return []
    try:
        plain = literal(item)
    except (TypeError, ValueError):
        return flaws
    return flaws if type(plain) is type(item) and not isinstance(item, (list, tuple)) else validate(port, plain)


def _of_item(port: Port, tp: Any, item: Any, flaw: Flaw, place: str) -> Iterator[Flaw]:
    """The flaw in the words of a call; nothing where it cannot be told whether an item is of the type."""
    wrong_type = flaw.code == "bad_value"
    if wrong_type and not _can_tell(tp):
        return
    if type(item) is float and wrong_type and not port.constrained and not validate(port, 0.0):
        return  # infinity and NaN: no document holds them, but nodes may compute them
    in_brackets = port.many and not validate(port, [item])
    if wrong_type and isinstance(item, Handle):
        message = f"{place} is {item!r}, which belongs to a graph: call the node inside `with graph:`."
        yield Flaw(flaw.code, message)
    elif not wrong_type or is_literal_type(port.item) or in_brackets:
        message = (place + flaw.message.removeprefix(port.name)).replace(", not null.", ", not None.")
        yield Flaw(flaw.code, message, flaw.expected, flaw.suggestion)
    else:
        name, kind = describe(tp), type(item).__name__
        if isinstance(item, (list, tuple)) and not is_list(tp):
            yield Flaw("bad_value", f"{place} takes one {name}, not a {kind} of {len(item)}.", name)
        else:
            yield Flaw("bad_value", f"{place} must be {name}, not {'None' if item is None else kind}.", name)


def _can_tell(tp: Any) -> bool:
    """Whether an item's class says that it is of this type, or not."""
    if tp is Any or tp is object or isinstance(tp, TypeVar) or get_origin(tp) is Literal:
        return True
    origin = get_origin(tp) or tp
    if is_union(tp) or origin in (list, tuple, dict):
        return all(_can_tell(arm) for arm in get_args(tp) if arm is not Ellipsis)
    if not isinstance(origin, type) or origin is Annotated or is_typeddict(origin):
        return False
    return not getattr(origin, "_is_protocol", False)
