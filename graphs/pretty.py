"""JSON laid out for people and for diffs: what fits a line stands on one, what does not is broken."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 110


def pretty(value: Any, indent: int = 0, used: int = 0) -> str:
    """JSON text of plain data, without a newline at the end.

    Args:
        value: JSON data, nested no deeper than a document may be.
        indent: columns that the lines after the first are moved in by.
        used: columns before the value on its first line.
    """
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not value or not isinstance(value, dict | list) or (indent > 0 and used + len(flat) <= WIDTH):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            label = f"{pad}{json.dumps(key, ensure_ascii=False)}: "
            lines.append(label + pretty(item, indent + 2, len(label) + 1))
        opening, closing = "{", "}"
    else:
        lines = [pad + pretty(item, indent + 2, indent + 3) for item in value]
        opening, closing = "[", "]"
    return f"{opening}\n" + ",\n".join(lines) + f"\n{' ' * indent}{closing}"
