"""Nodes of a pack whose checks, fingerprints, migrations and `needs` misbehave. A worker imports this module."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.engine.toys import Live
from weft.engine import Catalogue, Context, Lazy, Node, NodeView, node
from weft.graphs import Problem


def misbehave(how: str) -> str:
    """Crash, hang or raise; else the process that this is."""
    match how:
        case "crash":
            os._exit(9)
        case "hang":
            while True:
                time.sleep(0.01)
        case "raise":
            raise ValueError("so it goes")
    return str(os.getpid())


def check_it(view: NodeView) -> Iterator[Problem]:
    """Says what it sees."""
    how = str(view.literals.get("how", ""))
    sources = [f"{id}:{node_type.name}" for id, node_type in view.sources("after")]
    users = [user.id for user in view.users()]
    said = f"{misbehave(how)}|{sources}|{users}|{view.path('here.txt') is not None}"
    yield Problem(code="bad_value", severity="warning", node=view.id, input="how", message=said, given=how)


@node("fn_check", check=check_it)
def fn_check(how: str = "", after: Any = None) -> str:
    """Has a check of its own."""
    return how


def stamp(how: str = "", log: str = "") -> str:
    """Leaves a line for each call."""
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    return misbehave(how) and "stamp"


@node("fn_stamp", fingerprint=stamp)
def fn_stamp(how: str = "", log: str = "", odd: tuple[int, ...] = (1, 2)) -> int:
    """Has a fingerprint of its own."""
    return os.getpid()


def seen(text: str, ctx: Context) -> str:
    """What a fingerprint sees of the folders that may be read."""
    return f"{ctx.resolve_input_path('here.txt').exists()} {text}"


@node("fn_sees", fingerprint=seen)
def fn_sees(text: str = "") -> int:
    """Its fingerprint asks for a context."""
    return os.getpid()


def stored(id: str, ctx: Context) -> str:
    """What the file holds."""
    return ctx.resolve_input_path(id).read_text()


def check_stored(view: NodeView) -> Iterator[Problem]:
    """Says whether the file is there."""
    there = view.path(str(view.literals["id"])) is not None
    yield Problem(code="bad_value", severity="warning", node=view.id, message=f"{there} {os.getpid()}")


@node("fn_stored", check=check_stored, fingerprint=stored)
def fn_stored(id: str) -> int:
    """Names a file of the file store, and is asked about it."""
    return os.getpid()


def renamed(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """`old` is called `how`."""
    inputs = dict(inputs)
    how = inputs.pop("old")
    pid = misbehave(how)
    return inputs | {"how": how, "pid": pid}


@node("fn_moved", version=2, migrations={1: renamed})
def fn_moved(how: str = "", pid: str = "", after: Any = None) -> str:
    """Was another once."""
    return pid


def wants(inputs: Mapping[str, Any]) -> list[Any]:
    """One of several, by what the others hold; a live value among them."""
    misbehave(inputs["how"])
    return [("values", inputs["live"].number % len(inputs["values"]))]


@node("fn_needs", needs=wants)
def fn_needs(live: Live, values: list[Lazy[str]], how: str = "", odd: tuple[int, ...] = (1, 2)) -> str:
    """Says beforehand what it will ask for."""
    return values[live.number % len(values)]()


@node("fn_live")
def fn_live(number: int = 1) -> Live:
    """A value that stays in its worker."""
    return Live(number)


@node("fn_text")
def fn_text(text: str) -> str:
    """As it is."""
    if text == "no":
        raise AssertionError("nobody wanted this")
    return text


NODES: list[Node[..., Any]] = [item for item in list(globals().values()) if isinstance(item, Node)]


def catalogue() -> Catalogue:
    """The nodes above."""
    return Catalogue(NODES)


def here(folder: Path) -> None:
    """The file that the check looks for."""
    (folder / "here.txt").touch()
