"""The tables of docs/command-line.md, made from the commands themselves: `python -m tests.command_page` renews them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from tests.pasted import ROOT
from weft.server.cli.app import app

PAGE = "docs/command-line.md"
_TABLE = re.compile(r"(<!-- options of ([\w ]+) -->\n).*?(<!-- end of options -->)", re.DOTALL)
_ROOT = "weft"


def commands() -> dict[str, Any]:
    """Every command by what is typed for it: "weft" itself, "weft run", "weft cache info"."""

    def of(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", {})
        if not inner or name == _ROOT:
            yield name, command
        for word, item in inner.items():
            yield from of(item, f"{name} {word}")

    return dict(of(typer.main.get_command(app), _ROOT))


def options(command: Any) -> list[Any]:
    """What a command takes, but for `--help`, which all have."""
    return [item for item in command.params if "--help" not in item.opts]


def table(command: Any) -> str:
    """A row for each argument and option: how it is written, and what it does."""
    rows = ["| | |", "|---|---|"]
    for item in options(command):
        if item.param_type_name == "argument":
            written, says = f"`{item.metavar}`", item.help
        else:
            value = "" if item.is_flag else f" {item.metavar}"
            written, says = ", ".join(f"`{name}{value}`" for name in item.opts), item.help
            if item.multiple:
                says += " May be given several times."
            if not item.is_flag and item.default is not None:
                says += f" Without it: `{item.default}`."
        rows.append(f"| {written} | {says} |".replace("x.svg|png", "x.svg` or `x.png"))
    return "\n".join(rows)


def page() -> str:
    """The page with its tables as they are now."""
    known = commands()

    def renewed(found: re.Match[str]) -> str:
        if found[2] not in known:
            raise ValueError(f"{PAGE} has a table of {found[2]}, which is no command")
        return f"{found[1]}{table(known[found[2]])}\n{found[3]}"

    return _TABLE.sub(renewed, (ROOT / PAGE).read_text("utf-8"))


def tables() -> list[str]:
    """The commands that the page has a table of."""
    return [name for _, name, _ in _TABLE.findall((ROOT / PAGE).read_text("utf-8"))]


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), "utf-8")
