"""Putting texts together, such as prompts out of parts."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Widget, node

MAX_CHARACTERS = 1_000_000


def _checked(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the text has {len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    return text


@node("join_text", category="text")
def join_text(texts: list[str], separator: str = ", ", skip_empty: bool = True) -> str:
    """Texts after one another.

    Args:
        texts: the texts, in order.
        separator: what stands between two of them.
        skip_empty: leave out texts that are empty or blank, with their separator.
    """
    kept = [text for text in texts if text.strip() or not skip_empty]
    length = sum(map(len, kept)) + len(separator) * max(0, len(kept) - 1)
    if length > MAX_CHARACTERS:
        raise ValueError(f"the text would have {length:,} characters; the limit is {MAX_CHARACTERS:,}")
    return separator.join(kept)


@node("fill_text", category="text")
def fill_text(
    template: Annotated[str, Widget("textarea")],
    a: str | int | float | bool = "",
    b: str | int | float | bool = "",
    c: str | int | float | bool = "",
    d: str | int | float | bool = "",
) -> str:
    """A template with its places filled: `a $a circle left of a ${b}ish square`.

    Only $a, $b, $c, $d (or ${a} ...) are places; $$ is a dollar sign, and any other $ stays as it is. What is filled in
    is not searched for places again.

    Args:
        template: the text with places.
        a: what $a becomes. Numbers are written as in JSON.
        b: what $b becomes.
        c: what $c becomes.
        d: what $d becomes.
    """
    from string import Template

    values = {name: _written(value) for name, value in (("a", a), ("b", b), ("c", c), ("d", d))}
    # A place takes two characters at least, so this bounds the result before it is made.
    if len(_checked(template)) // 2 * max(map(len, values.values())) > 100 * MAX_CHARACTERS:
        raise ValueError(f"the template's {len(template):,} characters with such long values could fill memory")
    return _checked(Template(template).safe_substitute(values))


def _written(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
