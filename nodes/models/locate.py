"""From what a person names to what lies on disk, and what is known of it. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weft.nodes.models.bundled import MODELS as BUNDLED
from weft.nodes.models.bundled import shared_with
from weft.nodes.models.description import Description
from weft.nodes.models.folder import describe_folder
from weft.nodes.models.hub import Access, find
from weft.nodes.models.single import describe_file
from weft.nodes.models.sources import (
    MODEL,
    PathRule,
    absent,
    at_hand,
    files_fingerprint,
    is_hub_id,
    looked_for,
    named,
)

__all__ = ["BUNDLED", "Located", "PathRule", "describe", "locate", "weights_fingerprint"]


@dataclass(frozen=True)
class Located:
    """Where a model lies: a folder or a file; ``commit`` identifies one that came from the hub."""

    path: Path
    commit: str | None = None


def locate(source: str, *, access: Access = "ask", allowed: PathRule | None = None) -> Located:
    """Find the model that ``source`` names; as `sources.find`, but a hub id (id@revision) may be fetched.

    Args:
        access: what may be done for a hub model that is not in the local cache; see ``hub.find``.
        allowed: turns a path as given into an absolute one, or raises when it may not be read.

    Raises:
        ModelError: there is none, or it is of a kind that is never read.
        InputPathError: it is a path outside the folders that may be read.
    """
    name = named(source, MODEL)
    path = at_hand(name, MODEL, allowed)
    if path is None and is_hub_id(name):
        repository, _, revision = name.partition("@")
        folder, commit = find(repository, revision or None, access=access, also=looked_for(name, allowed))
        return Located(folder, commit)
    if path is None:
        raise absent(name, MODEL, allowed)
    return Located(path)


def describe(located: Located, prediction: str = "auto") -> Description:
    """What a located model is; see ``describe_folder`` and ``describe_file``."""
    if located.path.is_dir():
        return describe_folder(located.path, prediction, shared_with(located.path))
    return describe_file(located.path, prediction)


def weights_fingerprint(located: Located, description: Description | None = None) -> str:
    """Identifies a model by content: a hub commit, or a hash over the files that are read.

    Raises:
        ModelError: the model is no sound one, or its files changed meanwhile.
    """
    if located.commit is not None:
        return f"hub:{located.commit}"
    root = located.path if located.path.is_dir() else located.path.parent
    return files_fingerprint((description or describe(located)).files, root)
