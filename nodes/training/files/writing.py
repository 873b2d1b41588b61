"""Files of an adapter onto the disk: written aside, verified, and only then given their name."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from weft.nodes.images.saving import SaveError, clean_name
from weft.nodes.training.files.layouts import Part

SUFFIX = ".safetensors"
_MOST = 100_000


def save_parts(parts: Sequence[Part], out: Path, name: str, verify: Callable[[Path], None]) -> list[Path]:
    """Write files under a name below a folder, or under the first free one of name_2, name_3 ...; the paths of all.

    One part with an empty path becomes the file name.safetensors, others the folder name. What is there already with
    the very same bytes is used again. Nothing appears under the name before `verify` was content with it.

    Args:
        verify: is given the file or folder while it still has a temporary name; raises for what is wrong with it.

    Raises:
        ValueError: it is no name.
        SaveError: it cannot be written.
    """
    relative = clean_name(name.removesuffix(SUFFIX))
    folder = out / relative.parent
    temporary = folder / f".{relative.name[:40]}.{secrets.token_hex(6)}.part"
    single = len(parts) == 1 and not parts[0].path
    if not folder.resolve().is_relative_to(out.resolve()):  # a link among the subfolders leads elsewhere
        raise SaveError(errno.EPERM, f"{folder} lies outside the output folder {out}")
    new = [one for one in (folder, *folder.parents) if one.is_relative_to(out) and one != out and not one.exists()]
    final: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        place = temporary / "whole"
        for part in parts:
            _write(part, place.with_suffix(SUFFIX) if single else place / part.path)
        written = place.with_suffix(SUFFIX) if single else place
        verify(written)
        final = _claimed(written, folder, relative.name, single)
    except SaveError:
        raise
    except OSError as error:
        raise _explained(error, folder / relative.name, parts) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if final is None:
            for one in new:  # the innermost first; one that somebody else wrote into stays
                with contextlib.suppress(OSError):
                    one.rmdir()
    return [final] if single else [final / part.path for part in parts]


def _write(part: Part, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    if part.text:
        path.write_text(part.text, encoding="utf-8")
    else:
        try:
            save_file(part.tensors, path, metadata=part.metadata)
        except SafetensorError as error:  # its own word for an OSError
            number = re.search(r"(?:code: |os error )(\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error
        _in_order(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())  # a rename may outlive the bytes in a power cut


def _in_order(path: Path) -> None:
    """Sort the header's metadata, which safetensors writes in another order each time: the same bytes for the same."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        table = json.loads(file.read(length))
        table["__metadata__"] = dict(sorted(table.get("__metadata__", {}).items()))
        text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def _claimed(written: Path, folder: Path, stem: str, single: bool) -> Path:
    """Give what was written its final name, the first that is free."""
    for number in range(1, _MOST):
        path = folder / (stem + (f"_{number}" if number > 1 else "") + (SUFFIX if single else ""))
        if os.path.lexists(path):
            if _same(written, path):
                return path
            continue
        try:
            _claim(written, path, single)
        except FileExistsError:
            continue
        return path
    raise SaveError(17, f"{stem} and {_MOST:,} numbered ones exist already in {folder}")


def _claim(written: Path, path: Path, single: bool) -> None:
    """Give it a name. Raises FileExistsError where that is taken, and leaves nothing there when it fails."""
    if single:
        try:
            os.link(written, path)  # unlike os.replace, fails when the name is taken
            return
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
        # No hard links here (FAT, some network folders): take the name with an empty file, then replace that.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    else:
        path.mkdir()  # fails when the name is taken, and a rename takes the place of an empty folder
    try:
        os.replace(written, path)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink() if single else path.rmdir()
        raise


def _explained(error: OSError, path: Path, parts: Sequence[Part]) -> SaveError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        size = sum(item.nbytes for part in parts for item in part.tensors.values())
        return SaveError(error.errno, f"no room to save {path}: it takes {size:,} bytes. Nothing was saved", str(path))
    return SaveError(error.errno, f"cannot save {path}: {error.strerror or error}", str(path))


def _same(one: Path, other: Path) -> bool:
    """Whether two files, or two folders, hold the same bytes under the same names. Links are never the same."""
    if other.is_symlink() or one.is_dir() != other.is_dir():
        return False
    try:
        if one.is_file():
            return other.is_file() and _bytes_equal(one, other)
        files = [{path.relative_to(root) for path in root.rglob("*") if not path.is_dir()} for root in (one, other)]
        return files[0] == files[1] and all(_bytes_equal(one / name, other / name) for name in files[0])
    except OSError:
        return False


def _bytes_equal(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(1 << 20):
            if block != second.read(1 << 20):
                return False
    return True
