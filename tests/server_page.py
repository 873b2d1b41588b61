"""The table of settings in docs/server.md, made from the settings themselves.

python -m tests.server_page
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.command_page import commands
from weft.server.settings import FIELDS

ROOT = Path(__file__).parents[1]
PAGE = "docs/server.md"
_TABLE = re.compile(r"<!-- settings -->\n.*?<!-- end of settings -->", re.DOTALL)


def options() -> dict[str, str]:
    """The option of each setting that has one, as `weft serve --help` writes it."""
    renamed = {"open_page": "open"}
    options = ((renamed.get(str(item.name), str(item.name)), item) for item in commands()["weft serve"].params)
    return {name: item.opts[0] for name, item in options if name in FIELDS}


def table() -> str:
    """One row a setting: its name, its option, its default, what it is."""
    known = options()
    rows = [
        (f"`{name}`", f"`{known[name]}`" if name in known else "", _default(name, field), str(field.description))
        for name, field in FIELDS.items()
    ]
    return "\n".join(
        ["| setting | option | default | |", "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def _default(name: str, field: Any) -> str:
    if field.is_required():
        return "the user's data folder"
    value = field.default
    if value is None or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}`"


def page() -> str:
    """The page with a new table."""
    text = (ROOT / PAGE).read_text("utf-8")
    assert len(_TABLE.findall(text)) == 1
    return _TABLE.sub(lambda _: f"<!-- settings -->\n{table()}\n<!-- end of settings -->", text)


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), "utf-8")
