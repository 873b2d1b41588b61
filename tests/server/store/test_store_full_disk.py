"""A data folder on a disk of 6 MiB that is really full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]
CODE = """
import contextlib, subprocess, sys
from pathlib import Path
from weft.server.store.opening import open_folder
from weft.server.store.protocol import NoSpace
from weft.server.store.records import Ending, Output, Request

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=True)

def open_it():
    return open_folder(folder, ballast_bytes=1 << 20)

def refused(call):
    try:
        call()
    except NoSpace:
        return True
    return False

def fill():
    with contextlib.suppress(OSError), open(folder / "rubbish", "ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))

opened = open_it()
store = opened.store
store.submit([Request("{}")] * 60, 1.8e9)
claims = [store.claim("server", 1.8e9) for _ in range(50)]
fill()
print("a long job is refused:", refused(lambda: store.submit([Request(f'"{"y" * 500_000}"')], 1.8e9)))
print("a short one too:", refused(lambda: store.submit([Request("{}")], 1.8e9)))
for claim in claims:
    store.end(claim.job.id, claim.epoch, Ending("done", (Output("a", "value", value="z" * 300),)), 1.8e9)
print("ended:", store.counts()["done"])
fill()
print("a backup is refused:", refused(lambda: store.backup(1.8e9)), list(folder.glob("backups/*")))
opened.close()
opened = open_it()
store = opened.store
print("sound:", opened.damaged is None, store._connection.execute("PRAGMA integrity_check").fetchone()[0])
(folder / "rubbish").unlink()
store.submit([Request("{}", title="later")], 1.8e9)
print("as before:", not store.ballast.released, store.counts()["queued"], store.backup(1.8e9).exists())
"""


@pytest.fixture
def needs_mounts() -> None:
    if sys.platform != "linux":
        pytest.skip("a disk of its own needs Linux")
    tried = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody mount a disk of their own: {tried.stderr.strip()}")


@pytest.mark.usefixtures("needs_mounts")
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [*OWN_MOUNTS, sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "a long job is refused: True",
        "a short one too: True",
        "ended: 50",
        "a backup is refused: True []",
        "sound: True ok",
        "as before: True 11 True",
    ], done.stderr
