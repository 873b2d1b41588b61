"""A PostgreSQL server for tests, thrown away with them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def why_not() -> str | None:
    """What this machine lacks for a server; None where it has all."""
    if _bin() is None:
        return "PostgreSQL is not installed (initdb was not found)"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"the extra weft[postgres] is not installed ({error})"
    return None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a database of its own, reached by a socket in a folder of its own."""
    binaries = _bin()
    assert binaries is not None
    # Not as root, which PostgreSQL refuses; in a folder that the other user can reach.
    user = _user()
    with tempfile.TemporaryDirectory(prefix="weft-postgres-", dir="/tmp") as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        options = {"user": user, "cwd": name, "check": True, "capture_output": True}
        initdb = [binaries / "initdb", "-D", data, "-U", "weft", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, **options)  # type: ignore[call-overload]
        control = [binaries / "pg_ctl", "-D", data, "-w", "-t", "60"]
        settings = f"-k {name} -c listen_addresses= -c fsync=off -c full_page_writes=off -c shared_buffers=8MB"
        subprocess.run([*control, "-l", folder / "log", "-o", settings, "start"], **options)  # type: ignore[call-overload]
        try:
            yield f"postgresql://weft@/postgres?host={name}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **options)  # type: ignore[call-overload]


def emptied(url: str) -> str:
    """The same database without tables."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


def _bin() -> Path | None:
    known = shutil.which("initdb")
    folders = [Path(known).parent] if known else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _user() -> str | None:
    """Who runs the server; None for ourselves."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
