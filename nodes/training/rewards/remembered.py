"""What people said of pictures, for all runs: a job whose output folder is gone need not ask them again."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from weft.nodes.sampling.content import Contents

log = logging.getLogger("weft.training")
VERSION = 1
LONGEST = 256
"""Bytes of a file with one rating."""
PICTURE_ID = re.compile(r"[0-9a-f]{24}")


class Remembered:
    """The ratings of one question's pictures, one file each, in a folder that outlives runs.

    Args:
        open: gives the folder of a key to its caller alone, for a moment: `Context.shared_workspace`.
        question: what people are asked; pictures are rated once for each question.
    """

    def __init__(self, open: Callable[[str], AbstractContextManager[Path]], question: str) -> None:
        self._open = open
        self._key = Contents().key(("ratings by people", VERSION, question)).hex()
        self._said: dict[str, float] = {}
        """What is in the folder by what was said to this object."""
        self._has_warned = False

    def exchange(self, said: Mapping[str, float], wanted: Collection[str]) -> dict[str, float]:
        """Take what people say now, and tell what they said before.

        Args:
            said: ratings by the ids of pictures. Those of pictures that are wanted are kept, and others that were kept
                before and changed since.
            wanted: ids of pictures.

        Returns:
            What was said before of the wanted pictures that `said` has not. Where the folder cannot be had, as on a
            full disk, nothing, with a warning: then it is kept another time, and nobody fails.

        Raises:
            Cancelled: the run was cancelled while another one had the folder.
        """
        changed = {
            own: rating
            for own, rating in said.items()
            if self._said.get(own) != rating and PICTURE_ID.fullmatch(own) is not None
        }
        missing = [own for own in wanted if own not in said]
        remembered: dict[str, float] = {}
        if not changed and not missing:
            return remembered
        try:
            with self._open(self._key) as folder:
                for own, rating in changed.items():
                    self._keep(folder, own, rating, own in wanted)
                for own in missing:
                    if (before := _read(folder, own)) is not None:
                        remembered[own] = before
        except OSError as error:
            self._warn(error)
        return remembered

    def _keep(self, folder: Path, own: str, rating: float, is_wanted: bool) -> None:
        before = _read(folder, own)
        if before is None and not is_wanted:
            return
        if before != rating:
            try:
                _write(folder, own, rating)
            except OSError as error:
                self._warn(error)
                return
        self._said[own] = rating

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning("ratings cannot be kept for later runs, which will ask again: %s", error)


def _read(folder: Path, own: str) -> float | None:
    """The rating of a picture; None where there is none, or what is there is no rating."""
    path = folder / f"{own}.json"
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            rating = json.loads(file.read(LONGEST))["rating"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return float(rating) if type(rating) in (int, float) and math.isfinite(rating) else None


def _write(folder: Path, own: str, rating: float) -> None:
    """Under a name of its own first."""
    aside = folder / f"{own}.{os.getpid()}.{threading.get_ident()}"
    try:
        aside.write_text(json.dumps({"rating": rating}), encoding="utf-8")
        os.replace(aside, folder / f"{own}.json")
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
