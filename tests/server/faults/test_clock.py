"""A wall clock that is set forward and back by hours and days while jobs run: nothing waits, ends or goes by it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.server.faults.calling import FAULTY, Caller, assert_one_end, counted, simple, until
from tests.server.files.pictures import encoded
from tests.server.running import PROGRAM, document, running

HOUR = 3600
JUMPS = (5 * HOUR, -7 * HOUR, 30 * HOUR, -30 * HOUR, 2 * HOUR, 0)


class Clock:
    """The wall clock of a server, which this program sets."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock"
        self.set(0)

    @property
    def program(self) -> str:
        """A program that runs a server by this clock."""
        return (
            "import time; real, file = time.time, "
            f"{str(self.file)!r}; time.time = lambda: real() + float(open(file).read()); {PROGRAM}"
        )

    def set(self, seconds: float) -> None:
        """Be so far from the right time."""
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.file)


def test_a_clock_that_jumps_holds_up_no_job(tmp_path: Path) -> None:
    jumping(tmp_path, jumps=2, jobs=2, workers=1)


@pytest.mark.chaos
def test_a_clock_that_jumps_all_the_time(tmp_path: Path) -> None:
    jumping(tmp_path, jumps=60, jobs=5, workers=2)


def jumping(folder: Path, jumps: int, jobs: int, workers: int) -> None:
    """Set the clock again and again while jobs run; every job runs once, in order, and waits end as they should."""
    clock, log = Clock(folder), folder / "calls"
    log.touch()
    with running(folder, "--nodes", FAULTY, "--workers", workers, program=clock.program) as server:
        caller = Caller(server)
        upload = caller.http.post("/api/v1/files", content=encoded("PNG"), headers={"Content-Type": "image/png"})
        file = upload.json()["file"]
        keyed = {"workflow": simple(-1)}
        key = {"Idempotency-Key": "kept"}
        first = caller.post("jobs", keyed, **key).json()["id"]
        ids = [first]
        for number in range(jumps):
            ids += [caller.submit(counted(number * jobs + place, log, seconds=0.05)) for place in range(jobs)]
            clock.set(JUMPS[number % len(JUMPS)])
            waited = caller.post("jobs", {"workflow": simple(number)}, Prefer="wait=60")
            assert (waited.status_code, waited.json()["state"]) == (200, "done")
            ids.append(waited.json()["id"])
            if abs(JUMPS[number % len(JUMPS)]) < 24 * HOUR:
                assert caller.post("jobs", keyed, **key).json()["id"] == first
            # What is deleted takes no file along that was uploaded just now, by the clock on the wall or not.
            assert caller.http.delete(f"/api/v1/jobs/{ids.pop()}").status_code == 204
            assert caller.http.get(f"/api/v1/files/{file}").status_code == 200
        blocking = caller.submit(document(a=("fault_steps", {"path": str(folder / "runs"), "steps": 60_000})))
        until((folder / "runs").exists, "the job to run")
        clock.set(-HOUR)  # a wait for what does not end is over in its time, and not an hour later
        assert caller.post(f"jobs/{blocking}/retry", Prefer="wait=1").status_code == 202
        for job in caller.http.get("/api/v1/jobs", params={"limit": 2}).json()["jobs"]:
            caller.post(f"jobs/{job['id']}/cancel")
            assert caller.ended(job["id"])["state"] == "cancelled"
        for job in caller.all_ended(ids):
            assert (job["state"], job["attempts"]) == ("done", 0), job
            assert job["seconds"] >= 0
            assert_one_end(caller.events(job["id"]))
        assert ids == sorted(ids), "ids sort as the jobs came"
        listed: list[str] = []
        cursor = None
        while cursor is not None or not listed:
            page = caller.http.get("/api/v1/jobs", params={"limit": 50} | ({"cursor": cursor} if cursor else {})).json()
            listed += [job["id"] for job in page["jobs"]]
            cursor = page["next"]
        assert [id for id in reversed(listed) if id in set(ids)] == ids
        assert max(Counter(log.read_text().split()).values()) == 1, "no node ran twice"
        figures = caller.http.get("/metrics").text.splitlines()
        assert [line for line in figures if not line.startswith("#") and " -" in line] == []
        # And with the clock of another time it starts again, and knows what it has.
        clock.set(-3 * 24 * HOUR)
        waiting = caller.submit(simple(10_000))
        server.kill()
        clock.set(48 * HOUR)
        server.start()
        assert caller.ended(waiting)["state"] == "done"
        assert caller.post("jobs", {"workflow": simple(10_001)}, Prefer="wait=60").json()["id"] > waiting
    assert json.loads(clock.file.read_text()) == 48 * HOUR
