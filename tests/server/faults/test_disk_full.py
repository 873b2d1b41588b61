"""A server whose data folder is on a disk of 80 MiB that is really full for a while."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, counted, simple, until
from tests.server.running import PROGRAM, document, running

OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture
def needs_mounts() -> None:
    if sys.platform != "linux":
        pytest.skip("a disk of its own needs Linux")
    tried = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody mount a disk of their own: {tried.stderr.strip()}")


def on_a_small_disk(folder: Path) -> str:
    """A program that runs a server which alone sees a small disk at this folder."""
    shell = 'mount -t tmpfs -o size=80m tmpfs "$0" && exec "$@"'
    return (
        "import os, sys; os.execvp('unshare', "
        f"{[*OWN_MOUNTS, 'sh', '-c', shell, str(folder)]!r} + [sys.executable, '-c', {PROGRAM!r}, *sys.argv[1:]])"
    )


def fill(path: Path) -> None:
    """Take all room that there is."""
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
        while True:
            file.write(bytes(512))


@pytest.mark.usefixtures("needs_mounts")
def test_a_full_disk_ends_nothing_that_was_accepted(tmp_path: Path) -> None:
    disk = tmp_path / "data"
    disk.mkdir()
    with running(tmp_path, "--nodes", FAULTY, program=on_a_small_disk(disk)) as server:
        caller = Caller(server)
        caller.run(simple())
        assert server.process is not None
        rubbish = Path(f"/proc/{server.process.pid}/root{disk}/rubbish")
        going = caller.submit(counted(1, tmp_path / "calls", seconds=0.4))
        waiting = [caller.submit(counted(number, tmp_path / "calls")) for number in range(2, 6)]
        until(lambda: caller.job(going)["state"] == "running", "the job to run")
        fill(rubbish)

        def refused() -> bool:
            answer = caller.post("jobs", {"workflow": simple(5), "title": "x" * 150})
            assert answer.status_code in {202, 507}, answer.text
            return answer.status_code == 507

        until(refused, "jobs to be refused")
        assert httpx.get(f"{server.url}healthz").status_code == 200
        # What was accepted ends, as it should: for that there was room set aside.
        for id in (going, *waiting):
            assert caller.ended(id)["state"] == "done"
            assert_one_end(caller.events(id))
        fill(rubbish)
        upload = caller.http.post("/api/v1/files", content=b"x" * 100, headers={"Content-Type": "image/png"})
        assert (upload.status_code, upload.json()["code"]) == (507, "no_space")
        rubbish.unlink()
        until(lambda: caller.post("jobs", {"workflow": simple(6)}).status_code == 202, "jobs to be accepted")
        saved = caller.run(document(a=("fault_save", {"path": str(tmp_path / "saved")})))
        assert saved["state"] == "done"
        assert caller.http.get(f"/api/v1/files/{saved['outputs'][0]['file']}").status_code == 200
        left = [path.name for path in rubbish.parent.rglob("*.part")]
        assert left == []
