"""Help for nodes out of their docstrings."""

from __future__ import annotations

import re

_ARGUMENT = re.compile(r"^(\s*)([A-Za-z_]\w*)\s*(?:\([^)]*\))?:\s*(.*)$")


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """A docstring as (help, help per argument): what stands before `Args:`, and the `name: text` lines below it."""
    head, _, rest = text.partition("\nArgs:\n") if not text.startswith("Args:\n") else ("", "", text[6:])
    help = re.split(r"\n(?:Raises|Returns|Examples?|Attributes):\n", head, maxsplit=1)[0].strip()
    fields: dict[str, str] = {}
    indent: int | None = None
    current = ""
    for line in rest.splitlines():
        if line.strip() and not line.startswith(" "):
            break  # the next section
        match = _ARGUMENT.match(line)
        if match and (indent is None or len(match[1]) <= indent):
            indent, current = len(match[1]), match[2]
            fields[current] = match[3].strip()
        elif current and line.strip():
            fields[current] = f"{fields[current]} {line.strip()}".strip()
    return help, fields
