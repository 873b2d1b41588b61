"""From what a person names to what lies on disk, and what is known of it. Light: no torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weft.graphs.problems import near
from weft.nodes.models.bundled import MODEL, VARIANTS, checked, home, shared_with
from weft.nodes.models.description import Description
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES, describe_folder
from weft.nodes.models.hub import Access, find
from weft.nodes.models.single import describe_file

BUNDLED = {"shapes": MODEL, **VARIANTS}
"""Models that ship with this package: name, and folder below it."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
PathRule = Callable[[str], Path]


@dataclass(frozen=True)
class Located:
    """Where a model lies: a folder or a file; ``commit`` identifies one that came from the hub."""

    path: Path
    commit: str | None = None


def locate(source: str, *, access: Access = "ask", allowed: PathRule | None = None) -> Located:
    """Find the model that ``source`` names: a bundled one, a folder, a .safetensors file, or a hub id (id@revision).

    Args:
        access: what may be done for a hub model that is not in the local cache; see ``hub.find``.
        allowed: turns a path as given into an absolute one, or raises when it may not be read.

    Raises:
        ModelError: there is none, or it is of a kind that is never read.
    """
    name = source.strip()
    if not name:
        raise ModelError(f"a model's name is empty; bundled are {', '.join(map(repr, BUNDLED))}")
    if name in BUNDLED:
        return Located(bundled(name))
    if name.lower().endswith(PICKLES):
        raise ModelError(f"{name} is not read: {PICKLE_REASON}")
    path = _path(name, allowed)
    if path.is_dir():
        return Located(path)
    if path.is_file():
        if path.suffix.lower() != ".safetensors":
            raise ModelError(f"{path} is no .safetensors file; only those and diffusers folders are read")
        return Located(path)
    if _HUB_ID.fullmatch(name) and not name.endswith(".safetensors"):
        repository, _, revision = name.partition("@")
        folder, commit = find(repository, revision or None, access=access, also=path)
        return Located(folder, commit)
    hint = near(name, BUNDLED)
    raise ModelError(
        f"no model {name!r}: looked for a bundled model ({', '.join(BUNDLED)}), and for a folder or file {path}"
        + (f". Did you mean {hint!r}?" if hint else "; a hub id has the form owner/name")
    )


def bundled(name: str) -> Path:
    """The folder of a bundled model.

    Raises:
        ModelError: this installation lacks a file of it, or has another.
    """
    place = BUNDLED[name]
    if place in VARIANTS.values():
        checked(name, MODEL, "model")
    elif not (home() / place / "model_index.json").is_file():
        place += "/model_index.json"
    return checked(name, place, "model")


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
    from weft.engine.filehash import content_hash

    if located.commit is not None:
        return f"hub:{located.commit}"
    files = (description or describe(located)).files
    root = located.path if located.path.is_dir() else located.path.parent
    try:
        table = [[_below(path, root) if len(files) > 1 else "", content_hash(path)] for path in files]
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from error
    return hashlib.blake2b(json.dumps(sorted(table)).encode(), digest_size=20).hexdigest()


def _below(path: Path, root: Path) -> str:
    """A name for a file that holds wherever the model lies. A variant's shared files lie outside its folder."""
    return path.relative_to(root if root in path.parents else home()).as_posix()


def _path(name: str, allowed: PathRule | None) -> Path:
    if "\0" in name:
        raise ModelError(f"{name!r} is no path: it holds a zero byte")
    if allowed is not None and not (_HUB_ID.fullmatch(name) and not Path(name).exists()):
        return allowed(name)
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError as error:
        raise ModelError(f"no model {name!r}: {error}") from error
