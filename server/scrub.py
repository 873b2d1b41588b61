"""What must not leave the machine in a text: paths of its folders, and secrets.

Answers to others and lines of the log go through here. What a text says is decided where it is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

MIN_SECRET = 8
"""Shorter texts are no secrets: they would stand in ordinary words."""

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|APIKEY|API_KEY|ACCESS_KEY|PRIVATE_KEY", re.IGNORECASE
)
_CARRIED = re.compile(r"(?i)(\bauthorization.{1,6}?(?:bearer|basic)\s{1,4}|\bweft_session=|[#?&]token=)[\w.~+/=%-]{4,}")
"""Where a secret stands even if it is none of ours."""
_DRIVE = r"(?:[A-Za-z]:\\|\\\\[\w.$-]+\\)"
HIDDEN = "[secret]"
_PLACE = "<path>"


class Scrubber:
    """Takes paths and secrets out of texts: `scrub("no such file: /srv/data/a.png")` is "no such file: <data>/a.png".

    Args:
        folders: what each folder of the machine is called instead of its path, such as "<data>".
        secrets: texts that never show, such as the server's token; those of fewer than 8 characters do.
        top: names of the folders right below the root of the file system. A path that begins with one of them is a
            path of the machine. Other texts with slashes, such as `/api/v1/jobs`, are not.
    """

    def __init__(
        self,
        folders: Mapping[str | os.PathLike[str], str] | None = None,
        secrets: Iterable[str] = (),
        top: Iterable[str] = (),
    ) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.hide(secret)
        named: dict[str, str] = {}
        for folder, name in (folders or {}).items():
            for path in (os.path.abspath(folder), os.path.realpath(folder)):
                if len(path) > 1:  # "/" is in every path
                    named.setdefault(path, name)
        # The longest first, since one may lie in another. A folder's name ends where a longer one would go on.
        self._folders = [
            (re.compile(r"(?<![\w.])" + re.escape(path) + r"(?![\w-])"), name)
            for path, name in sorted(named.items(), key=lambda item: len(item[0]), reverse=True)
        ]
        names = "|".join(sorted(map(re.escape, top), key=len, reverse=True))
        root = rf"(?:{_DRIVE}|/(?:{names})(?=/))" if names else _DRIVE
        # In quotes a path may have spaces.
        self._quoted = re.compile(rf"(?<=['\"])(?=({root}))[^'\"\r\n]+")
        self._bare = re.compile(rf"(?<![\w.>~/\\])(?=({root}))[^\s'\"<>()\[\]{{}},;]+")

    @classmethod
    def of_machine(
        cls, folders: Mapping[str | os.PathLike[str], str] | None = None, secrets: Iterable[str] = ()
    ) -> Scrubber:
        """For this machine: also its home, temporary and Python folders, and secrets in environment variables."""
        others: dict[str | os.PathLike[str], str] = {
            tempfile.gettempdir(): "<temporary>",
            sys.prefix: "<python>",
            sys.base_prefix: "<python>",
        }
        with contextlib.suppress(RuntimeError):  # nobody's home is known
            others[Path.home()] = "~"
        known = [value for name, value in os.environ.items() if _SECRET_NAME.search(name) and not os.path.exists(value)]
        try:
            top = [name for name in os.listdir("/") if name != "api"]
        except OSError:
            top = ["etc", "home", "opt", "proc", "root", "srv", "tmp", "usr", "var"]
        return cls({**others, **(folders or {})}, [*secrets, *known], top)

    def hide(self, secret: str) -> None:
        """Hide one more secret from now on."""
        if len(secret) >= MIN_SECRET and secret not in self._secrets:
            self._secrets.append(secret)
            self._secrets.sort(key=len, reverse=True)

    def secrets(self, text: str) -> str:
        """A text without secrets; paths stay."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return _CARRIED.sub(lambda match: match[1] + HIDDEN, text)

    def __call__(self, text: str) -> str:
        """A text without secrets and without paths of the machine."""
        text = self.secrets(text)
        if "/" not in text and "\\" not in text:
            return text
        for folder, name in self._folders:
            text = folder.sub(lambda _, name=name: name, text)  # type: ignore[misc]
        text = self._quoted.sub(_last, text)
        return self._bare.sub(_last, text)

    def suspects(self, text: str) -> bool:
        """Whether there may be anything to take out of a text, or out of JSON. Most have nothing: this is quick."""
        return (
            "/" in text
            or "\\" in text
            or any(secret in text for secret in self._secrets)
            or _CARRIED.search(text) is not None
        )

    def data(self, value: Any) -> Any:
        """JSON data with every text in it scrubbed, keys included."""
        return _each(self, value)

    def secret_data(self, value: Any) -> Any:
        """JSON data without secrets; paths stay."""
        return _each(self.secrets, value)


def _each(change: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): _each(change, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(change, item) for item in value]
    return value


def _last(match: re.Match[str]) -> str:
    """The last name of a path alone, which says which file it was; nothing of a short one, which may be somebody's."""
    parts = [part for part in re.split(r"[/\\]", match[0]) if part]
    return f"{_PLACE}/{parts[-1]}" if len(parts) > 2 else _PLACE
