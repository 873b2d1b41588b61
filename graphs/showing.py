"""How documents and graphs show themselves in a notebook: what is shown stands below what draws it, and here they meet.

`graphs` says what draws (`shown_by`), the engine what node types look like (`described_by`); both are called when a
notebook shows something, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

Bundle = dict[str, str]
"""One thing in several forms, by their mime types: a notebook shows the richest that it can."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_painters: list[Callable[[Any], Bundle]] = []
_describers: list[Callable[[Any], Any]] = []


class Shown:
    """What a notebook shows as a picture; everywhere else it prints as ever."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        """What IPython asks for; it filters by `include` and `exclude` itself."""
        plain = {"text/plain": repr(self)}
        return plain | _painters[-1](self) if _painters else plain


def shown_by(painter: Callable[[Any], Bundle]) -> None:
    """Let this draw what is `Shown`; whoever says so last does it."""
    _painters[:] = [painter]


def described_by(describer: Callable[[Any], Any]) -> None:
    """Let this say, for a workflow, what its node types look like (`graphs.draw.Describe`)."""
    _describers[:] = [describer]


def describe(workflow: Any) -> Any:
    """What is known of a workflow's node types; None where nobody said who knows."""
    return _describers[-1](workflow) if _describers else None


def safe(text: str) -> str:
    """Text that stands in SVG or HTML as it is: markup is no markup, and what no XML may hold is replaced."""
    return escape(_NOT_XML.sub("\ufffd", text))
