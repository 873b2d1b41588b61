"""Nothing accepted is lost when the server, or its workers, are killed at any moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.server.faults.calling import FAULTY
from tests.server.faults.killing import Story, post_at_once
from tests.server.running import running


def test_jobs_survive_kills_of_the_server(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        story = Story(server, tmp_path, jobs=20, seed=1)
        for _ in range(2):
            story.wait(1.0)
            story.kill_server()
        assert story.check()["computed_again"] <= 2


def test_jobs_survive_kills_of_workers_and_the_server(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY, "--workers", 2) as server:
        story = Story(server, tmp_path, jobs=15, seed=2)
        for _ in range(2):
            story.wait(0.8)
            story.kill_worker()
        story.kill_server()
        story.wait(0.8)
        story.kill_worker()
        story.check(worker_kills=3)


def test_posts_that_a_kill_cuts_off_are_one_job_each(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        found = post_at_once(server, tmp_path / "calls", jobs=16, kills=1, seed=4, most=4)
        assert found["unanswered"][0] > 0, "the kill came too late to cut anything off"


@pytest.mark.chaos
def test_a_hundred_posts_at_once_that_kills_cut_off_are_one_job_each(tmp_path: Path) -> None:
    with running(tmp_path, "--nodes", FAULTY) as server:
        print(json.dumps(post_at_once(server, tmp_path / "calls", jobs=100, kills=5, seed=5)))


@pytest.mark.chaos
@pytest.mark.parametrize("kills", ["server", "workers", "both", "together"])
def test_two_hundred_jobs_survive_twenty_kills(tmp_path: Path, kills: str) -> None:
    with running(tmp_path, "--nodes", FAULTY, "--workers", 2) as server:
        story = Story(server, tmp_path, jobs=200, seed=3)
        for number in range(20):
            story.wait(1.5)
            if kills == "together":
                story.kill_all()
            elif kills == "server" or (kills == "both" and number % 2):
                story.kill_server()
            else:
                story.kill_worker()
        found = story.check(worker_kills=20 if kills != "server" else 0)
    print(json.dumps({"kills": kills, **found}))
    assert max(story.own, default=0.0) <= 3.0, story.own
    assert found["computed_again"] <= 20 * 2
