"""Saving files under names that people choose: inside one folder, never over another file, never half-written."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

MAX_NAME_LENGTH = 400
_MAX_PART_BYTES = 200  # file systems take 255; "_12345.png" and the temporary name must fit too
_MAX_COPIES = 1_000_000

# What Windows refuses in names is refused everywhere, so that a folder of results can be copied anywhere.
_RESERVED_CHARACTERS = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_RESERVED_NAMES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


class SaveError(OSError):
    """A file could not be written; nothing of it was left behind. `errno` says why to programs."""

    def __str__(self) -> str:
        return str(self.strerror)


def clean_name(name: str) -> PurePosixPath:
    """The name as a relative path without its `.png`: `"night/owl.png"` -> `night/owl`.

    Raises ValueError, with the reason, for a name that is empty, too long, absolute, holds `..`, or has characters or
    parts that some file systems reserve.
    """
    problem = name_problem(name)
    if problem:
        raise ValueError(problem)
    return PurePosixPath(_without_suffix(name))


def name_problem(name: str) -> str | None:
    """Why the name, with or without its `.png`, cannot be saved under, as a sentence; None when it can."""
    return stem_problem(_without_suffix(name))


def stem_problem(name: str) -> str | None:
    """As `name_problem`, for a name that has no suffix: what looks like one belongs to it."""
    shown = f"the name {name[:60]!r}"
    if len(name) > MAX_NAME_LENGTH:
        return f"{shown}... is {len(name):,} characters long; the limit is {MAX_NAME_LENGTH}"
    bad = _RESERVED_CHARACTERS.search(name)
    if bad:
        return f"{shown} holds {bad[0]!r}, which file names cannot have; folders are parted by /"
    if name.startswith(("/", "~")):
        return f"{shown} must be relative to the output folder"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"{shown} is no name within the output folder" if part else f"{shown} has an empty part"
        if part != part.strip() or part.endswith("."):
            return f"{shown} has a part that begins or ends with a space, or ends with a dot"
        if _RESERVED_NAMES.fullmatch(part):
            return f"{shown} has the part {part!r}, which Windows reserves"
        try:
            length = len(part.encode())
        except UnicodeEncodeError:
            return f"{shown} is not valid Unicode"
        if length > _MAX_PART_BYTES:
            return f"{shown} has a part of {length} bytes; the limit is {_MAX_PART_BYTES}"
    return None


def save_new(
    data: bytes, out: Path, name: str | Callable[[int], str], suffix: str = ".png", taken: Collection[Path] = ()
) -> Path:
    """Write the bytes as `out/name.png`, or the first free one of `name_2.png`, `name_3.png` ...; return its path.

    A file of that series with these very bytes is used again, unless it is in `taken` (the other images of one batch
    are files of their own). The bytes go to a temporary name in the same folder, which then takes its final name in
    one step that cannot replace a file; on any failure the temporary one is removed.

    name: or a function that gives the names of another series, without suffix, by number from 1. They all lie in one
    folder and differ.
    """
    names = name if callable(name) else _series(clean_name(name))
    first = names(1)
    problem = stem_problem(first)
    if problem:
        raise ValueError(problem)
    relative = PurePosixPath(first)
    folder = _folder(out, relative)
    temporary: Path | None = None
    try:
        for copy in range(1, _MAX_COPIES):
            path = folder / (PurePosixPath(names(copy)).name + suffix)
            if os.path.lexists(path):
                if path not in taken and _holds(path, data):
                    return path
                continue
            if temporary is None:
                temporary = _write_temporary(folder, relative.name, data)
            if _claim(temporary, path):
                return path
    except OSError as error:
        raise _explained(error, folder / (relative.name + suffix), len(data)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    raise SaveError(
        errno.EEXIST, f"{relative.name}{suffix} and {_MAX_COPIES:,} numbered ones exist already in {folder}"
    )


def replace_file(data: bytes, path: Path) -> None:
    """Write the bytes at a path, in place of a file that is there; whole, or not at all. Raises SaveError."""
    temporary: Path | None = None
    try:
        temporary = _write_temporary(path.parent, path.stem, data)
        os.replace(temporary, path)
    except OSError as error:
        raise _explained(error, path, len(data)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _series(name: PurePosixPath) -> Callable[[int], str]:
    return lambda number: str(name) if number == 1 else f"{name}_{number}"


def _without_suffix(name: str) -> str:
    return name[:-4] if name.lower().endswith(".png") else name


def _folder(out: Path, relative: PurePosixPath) -> Path:
    folder = out / relative.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inside = folder.resolve().is_relative_to(out.resolve())
    except FileExistsError as error:
        raise SaveError(errno.ENOTDIR, f"cannot save in {folder}: a file stands where a folder is needed") from error
    except OSError as error:
        raise _explained(error, folder, 0) from error
    if not inside:  # a link among the subfolders leads elsewhere
        raise SaveError(errno.EPERM, f"{folder} lies outside the output folder {out}")
    return folder


def _write_temporary(folder: Path, name: str, data: bytes) -> Path:
    path = folder / f".{name[:40]}.{secrets.token_hex(6)}.part"
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a rename may outlive the bytes in a power cut
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _claim(temporary: Path, path: Path) -> bool:
    """Give the temporary file its final name; False when another process took that name first."""
    try:
        os.link(temporary, path)  # unlike os.replace, fails when the name is taken
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
    # No hard links here (FAT, some network folders): take the name with an empty file, then replace that.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    try:
        os.replace(temporary, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True


def _holds(path: Path, data: bytes) -> bool:
    try:
        return (
            path.is_file() and not path.is_symlink() and path.stat().st_size == len(data) and path.read_bytes() == data
        )
    except OSError:
        return False


def _explained(error: OSError, path: Path, size: int) -> SaveError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        try:
            free = f"{shutil.disk_usage(path.parent).free:,} are free"
        except OSError:
            free = "the disk is full"
        return SaveError(error.errno, f"no room to save {path}: it takes {size:,} bytes, {free}", str(path))
    return SaveError(error.errno, f"cannot save {path}: {error.strerror or error}", str(path))
