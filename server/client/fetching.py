"""What is fetched: files, looked at as a whole before they have their name."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path

import httpx

from weft.server.client.addresses import part
from weft.server.client.calling import Attempts, Calls
from weft.server.client.errors import RefusedError, ServerError

_UNUSUAL = re.compile(r"[^\w .()+=@,-]|^[. ]+|[. ]+$")


async def fetch(calls: Calls, file: str, name: str, to: str | os.PathLike[str]) -> Path:
    """Write a file of the server into a folder or to a path. See `AsyncClient.download`."""
    path = Path(to).expanduser()
    is_folder = path.is_dir() or os.fspath(to).endswith(("/", os.sep))
    folder = path if is_folder else path.parent
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    draft = folder / f".weft-{secrets.token_hex(8)}"
    try:
        await _written(calls, file, draft)
        if not is_folder:
            os.replace(draft, path)
            return path
        return await asyncio.to_thread(_placed, draft, folder, plain_name(name, file))
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


async def _written(calls: Calls, file: str, draft: Path) -> None:
    """The file's bytes at a path, those that its id names.

    Raises:
        ServerError: others came.
    """
    attempt = Attempts(calls.patience)
    while True:
        hashed = hashlib.sha256()
        try:
            with open(draft, "wb") as out:
                async with calls.stream(f"files/{part(file)}") as answer:
                    async for piece in answer.aiter_bytes():
                        hashed.update(piece)
                        await asyncio.to_thread(out.write, piece)
        except httpx.TransportError as error:
            await calls.lost(error, attempt)
            continue
        except RefusedError as error:
            if error.status == 503 and await attempt.pause(error.retry_after):
                continue
            raise
        if f"sha256:{hashed.hexdigest()}" != file:
            raise ServerError(f"{file} did not arrive as it is on the server")
        return


def _placed(draft: Path, folder: Path, name: str) -> Path:
    """The draft under a name that no other file has; the file that is there when it is the same."""
    stem, suffix = os.path.splitext(name)
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{stem}_{number}{suffix}")
        try:
            os.link(draft, path)  # unlike a rename it takes nobody's place
            return path
        except FileExistsError:
            if path.is_file() and _same(draft, path):
                return path
        except OSError:  # a file system without links
            if not os.path.lexists(path):
                os.replace(draft, path)
                return path
        number += 1


def _same(first: Path, second: Path) -> bool:
    if first.stat().st_size != second.stat().st_size:
        return False
    with open(first, "rb") as one, open(second, "rb") as other:
        return hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()


def plain_name(name: str, file: str) -> str:
    """A file's name as the server tells it, without what leads elsewhere or hides it; by its id where there is none."""
    last = re.split(r"[/\\]", name)[-1][:150]
    return _UNUSUAL.sub("", last) or file.removeprefix("sha256:")[:16]
