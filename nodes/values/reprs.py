"""How values print: on a line or two, whatever they hold."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

_TEXT = 60
_ITEMS = 3
_FIELD = 160


def short_repr(item: Any) -> str:
    """A dataclass as its class and fields: of a tensor its shape and number format, of what is long the beginning.

    Fields that have their default are left out. Put it into a class as `__repr__ = short_repr`.
    """
    parts = []
    for field in dataclasses.fields(item):
        content = getattr(item, field.name, None)
        if not _is_default(field, content):
            parts.append(f"{field.name}={_field(content)}")
    return f"{type(item).__name__}({', '.join(parts)})"


def _is_default(field: dataclasses.Field[Any], content: Any) -> bool:
    """Compared only where that is cheap: the `==` of a tensor gives a tensor."""
    if field.default is dataclasses.MISSING or type(content) is not type(field.default):
        return False
    return content is None or (isinstance(content, (str, int, float, tuple)) and content == field.default)


def _field(content: Any) -> str:
    shape = getattr(content, "shape", None)
    if isinstance(shape, tuple) and hasattr(content, "dtype"):
        place = str(getattr(content, "device", "cpu"))
        sides = " x ".join(map(str, shape)) or "one number"
        kind = str(content.dtype).removeprefix("torch.")
        return f"<{sides}, {kind}{'' if place == 'cpu' else f' on {place}'}>"
    if isinstance(content, str):
        return repr(content) if len(content) <= _TEXT else f"{content[:_TEXT]!r}... ({len(content):,} characters)"
    if isinstance(content, dict):
        return f"{{{len(content)} entries}}" if content else "{}"
    if isinstance(content, (tuple, list)):
        listed = [_field(one) for one in content[:_ITEMS]]
        if len(content) > _ITEMS:
            listed.append(f"... {len(content):,} in all")
        return _cut(f"({', '.join(listed)})")
    return _cut(repr(content))


def _cut(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= _FIELD else f"{text[:_FIELD]}..."
