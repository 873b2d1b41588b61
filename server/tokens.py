"""The token that lets programs in where a server can be reached from other machines: its file, and its comparison."""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

TOKEN_BYTES = 32
_MAX_FILE = 4096
_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=-]{32,512}")


class TokenError(ValueError):
    """A token file cannot be used, or not be made. The message says why, and never what stands in it."""


def make_token(path: str | os.PathLike[str], *, replace: bool = False) -> Path:
    """Write 32 new random bytes, as text that fits URLs, into a file that only its owner may read.

    Args:
        path: the file. Its folder is made, for its owner alone, when it is not there.
        replace: put a new token in place of one that is there.

    Raises:
        TokenError: it is there already, or cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with open(number, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
            file.flush()
            os.fsync(number)
        if replace:
            os.replace(beside, path)
        else:
            os.link(beside, path)  # unlike a rename it fails when somebody else was faster
    except FileExistsError:
        raise TokenError(f"{path} is there already; another token in its place locks out who has this one") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
    return path


def _unwritable(path: Path, error: OSError) -> TokenError:
    return TokenError(f"the token file {path} cannot be written: {error.strerror}")


def read_token(path: str | os.PathLike[str]) -> str:
    """The token in a file.

    Raises:
        TokenError: it is not there, belongs to somebody else, may be read or written by others, or holds no token.
    """
    # O_NONBLOCK: a pipe in the file's place would keep us waiting.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = os.open(path, flags)
    except OSError as error:
        hint = "; make one with: weft token" if isinstance(error, FileNotFoundError) else ""
        raise TokenError(f"the token file {path} cannot be read: {error.strerror}{hint}") from None
    try:
        _look_at(path, os.fstat(number))  # of what was opened, so that nobody can put another file in its place
        data = os.read(number, _MAX_FILE + 1)
    finally:
        os.close(number)
    text = data.decode("ascii", "replace").strip()
    if len(data) > _MAX_FILE or not _TOKEN.fullmatch(text):
        raise TokenError(f"the token file {path} holds no token: one line of 32 to 512 letters, digits and -_.~+/=")
    return text


def _look_at(path: str | os.PathLike[str], state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise TokenError(f"the token file {path} is no file")
    if os.name == "posix":
        if state.st_mode & 0o077:
            mode = stat.S_IMODE(state.st_mode)
            raise TokenError(f"others may read the token file {path} (mode {mode:04o}); run: chmod 600 {path}")
        if state.st_uid not in (os.geteuid(), 0):
            raise TokenError(f"the token file {path} belongs to another user")


def same_token(given: str | bytes, token: str) -> bool:
    """Whether a text is the token; takes the same time wherever they differ."""
    data = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    return hmac.compare_digest(data, token.encode())
