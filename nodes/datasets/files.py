"""Pictures and captions in a folder: which there are, and what their first bytes say. Light at import."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from weft.engine import InputPathError
from weft.engine.filehash import content_hash, folder_hash
from weft.graphs.problems import near
from weft.nodes.images.headers import MAX_FILE_BYTES, ImageFileError
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Picture

MAX_PICTURES = 100_000
"""Most pictures of one data set."""
MAX_CAPTION_BYTES = 64 * 1024
"""Largest file of one caption that is read."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
CAPTIONS = (".txt", ".caption")
OTHER_PICTURES = (".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".jxl", ".jfif")
"""Pictures in formats that are not read; they are named and passed over."""
MASK = ".mask"
"""Ends the stem of a mask's file: `dog.mask.png` is the mask of `dog.png`."""

Resolve = Callable[[str], Path]
Size = tuple[int, int]


class Seen(NamedTuple):
    """A picture file, not decoded. size: width and height in pixels as it is shown."""

    picture: Picture
    size: Size


def folder_at(name: str, resolve: Resolve) -> Path:
    """The folder that an input names.

    Raises:
        TrainingError: there is none of that name.
        InputPathError: it lies outside the folders that may be read.
    """
    if not name.strip():
        raise TrainingError("no folder is given: name one with pictures in it")
    folder = resolve(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise TrainingError(f"{name} is a file: give the folder that it lies in")
    hint = None
    if folder.parent.is_dir():
        hint = near(folder.name, [path.name for path in folder.parent.iterdir() if path.is_dir()])
    raise TrainingError(f"there is no folder {name}{f'; did you mean {hint}?' if hint else ''}")


def files_in(folder: Path, recursive: bool) -> list[Path]:
    """Its files in the order of their names; what begins with a dot is left out, and links to folders are not followed.

    Raises:
        TrainingError: there are too many, or it cannot be read.
    """
    files: list[Path] = []

    def refuse(error: OSError) -> None:
        raise TrainingError(f"{error.filename or folder} cannot be read: {error.strerror or error}")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        files.extend(Path(place, name) for name in names if not name.startswith("."))
        # Captions, masks and conditions lie beside them.
        if len(files) > 8 * MAX_PICTURES:
            raise TrainingError(f"{folder.name} has more than {8 * MAX_PICTURES:,} files: name a smaller folder")
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def has_suffix(path: Path, suffixes: Iterable[str]) -> bool:
    """Whether a file's suffix is one of these: `.jpg`, `.JPG` or `.Jpg`."""
    return path.suffix.lower() in suffixes and path.suffix in _forms(path.suffix.lower())


def _forms(suffix: str) -> tuple[str, ...]:
    return (suffix, suffix.upper(), suffix.title())


def is_mask(path: Path) -> bool:
    """Whether a picture file is by its name the mask of another one."""
    return path.stem.lower().endswith(MASK)


def stem_in(folder: Path, path: Path) -> str:
    """What files that belong together have in common: the path below the folder, without its suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()


def pictures_among(folder: Path, files: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Those of some files that are pictures, and what is said of those in formats that are not read.

    Raises:
        TrainingError: there are none, or too many.
    """
    files = list(files)
    pictures = [path for path in files if has_suffix(path, PICTURES) and not is_mask(path)]
    others = [
        f"{path.relative_to(folder).as_posix()}: {path.suffix.lower()[1:]} files are not read: save it as PNG"
        for path in files
        if has_suffix(path, OTHER_PICTURES)
    ]
    if len(pictures) > MAX_PICTURES:
        raise TrainingError(f"{folder.name} has {len(pictures):,} pictures; at most {MAX_PICTURES:,} are allowed")
    if not pictures:
        raise TrainingError(no_pictures(folder, files))
    return pictures, others


def no_pictures(folder: Path, files: Iterable[Path]) -> str:
    """Says that there are none, and what there is instead."""
    counts: dict[str, int] = {}
    for path in files:
        kind = path.suffix.lower() or "no suffix"
        counts[kind] = counts.get(kind, 0) + 1
    there = ", ".join(f"{count} of {kind}" for kind, count in sorted(counts.items(), key=lambda pair: -pair[1])[:5])
    below = ""
    if not counts and any(path.is_dir() for path in folder.iterdir()):
        below = "; it has folders in it: set `recursive` to look into them"
    return f"{folder.name} has no picture in PNG, JPEG or WebP: there are {there or 'no files'}{below}"


def look(path: Path, name: str, resolve: Resolve) -> Seen:
    """A picture file as far as its header tells. name: for messages.

    Raises:
        TrainingError: it cannot be read, is no picture or a too large one.
    """
    from weft.nodes.images.reading import HEAD_BYTES, displayed_size

    try:
        place = resolve(str(path))
        state = place.stat()
        if not stat.S_ISREG(state.st_mode):
            raise TrainingError(f"{name}: it is no regular file")
        if state.st_size > MAX_FILE_BYTES:
            raise TrainingError(f"{name}: the file has {state.st_size:,} bytes; the limit is {MAX_FILE_BYTES:,}")
        with place.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if head[8:12] == b"WEBP":
                head += file.read()
        size = displayed_size(head)
        return Seen(Picture(name, content_hash(place), path=str(place)), size)
    except InputPathError as error:
        raise TrainingError(f"{name}: {error}") from error
    except ImageFileError as error:
        raise TrainingError(f"{name}: the file {error}") from error
    except FileNotFoundError:
        raise TrainingError(f"{name}: the file does not exist") from None
    except OSError as error:
        raise TrainingError(f"{name}: the file cannot be read: {error.strerror or error}") from error


def look_at_bytes(data: bytes, name: str) -> Seen:
    """The same for a file's bytes, which the data set then holds."""
    from weft.nodes.images.reading import displayed_size
    from weft.nodes.training.pictures import digest_of

    if len(data) > MAX_FILE_BYTES:
        raise TrainingError(f"{name}: it has {len(data):,} bytes; the limit is {MAX_FILE_BYTES:,}")
    try:
        return Seen(Picture(name, digest_of(data), data=data), displayed_size(data))
    except ImageFileError as error:
        raise TrainingError(f"{name}: the file {error}") from error


def caption_in(path: Path, name: str, resolve: Resolve) -> str:
    """The caption in a text file, on one line.

    Raises:
        TrainingError: it cannot be read, is too long or no text.
    """
    try:
        place = resolve(str(path))
        with place.open("rb") as file:
            data = file.read(MAX_CAPTION_BYTES + 1)
        if len(data) > MAX_CAPTION_BYTES:
            raise TrainingError(f"{name}: a caption has at most {MAX_CAPTION_BYTES:,} bytes")
        return " ".join(data.decode("utf-8-sig").split())
    except InputPathError as error:
        raise TrainingError(f"{name}: {error}") from error
    except UnicodeDecodeError:
        raise TrainingError(f"{name}: the caption is no UTF-8 text") from None
    except OSError as error:
        raise TrainingError(f"{name}: the file cannot be read: {error.strerror or error}") from error


def contents(*folders: str) -> str:
    """For a node's fingerprint: names and contents of what a data set may read in some folders, at any depth."""
    tables = (".csv", ".jsonl", ".json", ".parquet")
    suffixes = [*PICTURES, *OTHER_PICTURES, *CAPTIONS, *tables]
    every = tuple(form for suffix in suffixes for form in _forms(suffix))
    for folder in (folder for folder in folders if folder):
        # Hashing waits for what a pipe gives. The node that runs in its place passes over it.
        for path in files_in(Path(folder), True):
            if path.name.endswith(every) and not path.is_file():
                raise TrainingError(f"{path.name} is no regular file")
    return " ".join(folder_hash(folder, every) if folder else "" for folder in folders)


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a message: the first ones, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
