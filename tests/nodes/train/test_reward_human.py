"""Ratings by people: in a folder and at an address, waited for, and never asked for twice."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from weft.engine import Cache, Cancelled, Context, run
from weft.engine.cache.workspaces import Workspaces
from weft.engine.events import Event, NodeStarted
from weft.nodes import reward_human, reward_sum
from weft.nodes.sampling.content import Contents
from weft.nodes.train.reward_human import HumanReward
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.rewards import people, remembered
from weft.nodes.training.rewards.people import picture_id, ratings_of
from weft.nodes.training.rewards.rating import rated
from weft.nodes.values.rewards import Occasion, Reward

PROMPTS = ["a red circle", "a cat"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "POLL_SECONDS", 0.01)


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0))


def ids_of(pictures: torch.Tensor) -> list[str]:
    return [picture_id(image, prompt) for image, prompt in zip(pictures, PROMPTS, strict=False)]


class Person:
    """Rates in the pauses of a training: one picture at each check, as a table or as JSON."""

    def __init__(self, folder: Path, pictures: torch.Tensor, stop_after: int = 99) -> None:
        self.folder, self.left, self.stop_after, self.calls = folder, ids_of(pictures), stop_after, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls > self.stop_after:
            raise Cancelled("the run was cancelled")
        asked = self.folder / "asked.json"
        if self.left and asked.exists():
            own = self.left.pop(0)
            assert own in [entry["id"] for entry in json.loads(asked.read_text())]
            assert (self.folder / f"{own}.png").read_bytes().startswith(b"\x89PNG")
            if len(self.left) % 2:
                (self.folder / f"{own}.csv").write_text(f"id,rating\n{own},4.5\n")
            else:
                (self.folder / f"{own}.json").write_text(json.dumps({own: 2}))


def test_a_training_waits_until_all_are_rated(tmp_path: Path, pictures: torch.Tensor) -> None:
    reward = reward_human("night/ratings", ctx=Context(out=tmp_path))
    person = Person(tmp_path / "night" / "ratings", pictures)
    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), person)).tolist() == [4.5, 2.0]


def test_what_was_rated_is_not_asked_again(tmp_path: Path, pictures: torch.Tensor) -> None:
    reward = reward_human("ratings", ctx=Context(out=tmp_path))
    folder = tmp_path / "ratings"
    with pytest.raises(Cancelled):
        rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), Person(folder, pictures, 0)))
    first, second = ids_of(pictures)
    (folder / "mine.csv").write_text(f"id,rating\n{first},1\n")
    (folder / f"{first}.png").unlink()
    with pytest.raises(Cancelled):
        rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), Person(folder, pictures, 0)))
    assert [entry["id"] for entry in json.loads((folder / "asked.json").read_text())] == [second]
    assert not (folder / f"{first}.png").exists()
    (folder / "more.json").write_text(json.dumps([{"id": second, "rating": "3.5"}]))

    def never() -> None:
        raise AssertionError("it waits, and all is rated")

    assert rated(reward, pictures, PROMPTS, Occasion(5, (8, 9), never)).tolist() == [1.0, 3.5]


def test_a_file_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path, pictures: torch.Tensor) -> None:
    reward = reward_human("ratings", ctx=Context(out=tmp_path))
    folder = tmp_path / "ratings"
    text = json.dumps(dict.fromkeys(ids_of(pictures), 3))
    calls = 0

    def write() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            (folder / "r.json").write_text(text[:20])
        if calls == 4:
            (folder / "r.json").write_text(text)

    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), write)).tolist() == [3.0, 3.0]
    assert calls >= 4


@pytest.mark.parametrize(
    ("text", "table", "message"),
    [
        ('{"ab": "good"}', False, "rating of the picture ab in x is 'good'"),
        ('{"ab": NaN}', False, "is nan: it has to be a finite number"),
        ('{"ab": true}', False, "is True"),
        ("[1, 2]", False, "holds no ratings"),
        ("picture,stars\nab,1\n", True, "has the columns picture, stars: it needs id and rating"),
        ("id,rating\nab,inf\n", True, "is 'inf'"),
    ],
)
def test_wrong_ratings_are_refused(text: str, table: bool, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        ratings_of(text, table, "x")


def test_a_table_may_end_in_the_middle_of_a_line() -> None:
    assert ratings_of("id,rating\nab,1\ncd,", True, "x") == {"ab": 1.0}


class Site(ThreadingHTTPServer):
    """Rates one picture more each time, after it was out of order once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[list[dict[str, str]]] = []
        self.status = 503


class Answering(BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, self.server.status = self.server.status, 200 if self.server.status == 503 else self.server.status
        answer = b""
        if status == 200:
            self.server.asked.append(body["pictures"])
            own = body["pictures"][0]
            assert base64.b64decode(own["png"]).startswith(b"\x89PNG")
            answer = json.dumps({"ratings": {own["id"]: len(own["prompt"]), "another": 1}}).encode()
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_address_is_asked_until_it_has_rated_all(site: Site, pictures: torch.Tensor) -> None:
    reward = reward_human(endpoint=f"http://127.0.0.1:{site.server_port}/rate")
    found = rated(reward, pictures, PROMPTS, Occasion(0, (0, 1)))
    assert found.tolist() == [len(PROMPTS[0]), len(PROMPTS[1])]
    assert [len(asked) for asked in site.asked] == [2, 1]
    assert [picture["prompt"] for picture in site.asked[0]] == PROMPTS


@pytest.mark.parametrize("status", [403, 302])
def test_an_address_that_refuses_ends_the_training(site: Site, pictures: torch.Tensor, status: int) -> None:
    site.status = status
    reward = reward_human(endpoint=f"http://127.0.0.1:{site.server_port}/rate")
    with pytest.raises(TrainingError, match=f"refuses the pictures: {status}"):
        rated(reward, pictures, PROMPTS, Occasion(0, (0, 1)))


def test_waiting_for_an_address_can_be_cancelled(pictures: torch.Tensor) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise Cancelled("the run was cancelled")

    with pytest.raises(Cancelled):
        rated(reward_human(endpoint="http://127.0.0.1:1/"), pictures, PROMPTS, Occasion(0, (0, 1), check))


def test_where_paths_are_confined_an_address_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    confined = Context(roots=[tmp_path])
    monkeypatch.delenv("WEFT_RATING_ENDPOINTS", raising=False)
    with pytest.raises(TrainingError, match="WEFT_RATING_ENDPOINTS"):
        reward_human(endpoint="http://10.0.0.1/rate", ctx=confined)
    monkeypatch.setenv("WEFT_RATING_ENDPOINTS", "http://10.0.0.1/rate http://10.0.0.2/")
    reward_human(endpoint="http://10.0.0.1/rate", ctx=confined)
    for wrong in ("ftp://host/", "10.0.0.1", "http://"):
        with pytest.raises(ValueError, match="is no address"):
            reward_human(endpoint=wrong)


@pytest.mark.parametrize("folder", ["../ratings", "/ratings", "", "a//b"])
def test_the_folder_lies_within_the_output_folder(folder: str) -> None:
    with pytest.raises(ValueError, match="name"):
        reward_human(folder)


def test_it_is_kept_for_each_output_folder(tmp_path: Path) -> None:
    """Else no training that people rate would be kept, nor anything that is made of it."""
    cache = Cache(tmp_path / "cache")

    def ask(out: str) -> tuple[str, int]:
        """Where ratings are looked for, and how many nodes ran."""
        events: list[Event] = []
        document = {"weft": 1, "nodes": {"reward": {"type": "reward_human"}}}
        found = run(document, ["reward"], cache=cache, out=tmp_path / out, on_event=events.append)["reward"]
        return found.folder, sum(isinstance(event, NodeStarted) for event in events)

    assert ask("one") == (str(tmp_path / "one" / "ratings"), 1)
    assert ask("one") == (str(tmp_path / "one" / "ratings"), 0)
    assert ask("two") == (str(tmp_path / "two" / "ratings"), 1)


def in_run(tmp_path: Path, out: str, folder: str = "ratings") -> tuple[Reward, Path]:
    """The reward as a training of a job asks it that has its own output folder, and where it asks."""
    ctx = Context(out=tmp_path / out, workspaces=Workspaces(tmp_path / "cache", 1 << 20))
    return reward_human(folder, ctx=ctx).within(ctx), tmp_path / out / folder


def asked_in(folder: Path) -> list[str]:
    file = folder / "asked.json"
    return [entry["id"] for entry in json.loads(file.read_text())] if file.exists() else []


def never() -> None:
    raise AssertionError("it waits, and all is rated")


def cancelled_after(calls: int) -> Callable[[], None]:
    left = iter(range(calls))

    def check() -> None:
        if next(left, None) is None:
            raise Cancelled("the run was cancelled")

    return check


def test_a_job_with_another_output_folder_asks_only_what_nobody_rated(tmp_path: Path, pictures: torch.Tensor) -> None:
    first, second = ids_of(pictures)
    reward, folder = in_run(tmp_path, "one")
    person = Person(folder, pictures[:1], stop_after=20)
    with pytest.raises(Cancelled):
        rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), person))
    assert asked_in(folder) == [first, second]
    shutil.rmtree(tmp_path / "one")

    reward, folder = in_run(tmp_path, "two")
    with pytest.raises(Cancelled):
        rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), cancelled_after(3)))
    assert asked_in(folder) == [second]
    assert [path.name for path in folder.glob("*.png")] == [f"{second}.png"]
    told = [{"id": first, "prompt": PROMPTS[0], "rating": 2.0}]
    assert json.loads((folder / "rated_before.json").read_text()) == told
    assert [path.name for path in (folder / "rated_before").iterdir()] == [f"{first}.png"]
    (folder / "mine.json").write_text(json.dumps({second: 1.5}))
    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [2.0, 1.5]

    reward, folder = in_run(tmp_path, "three")
    assert rated(reward, pictures, PROMPTS, Occasion(9, (4, 5), never)).tolist() == [2.0, 1.5]
    assert asked_in(folder) == []


def test_under_another_name_or_prompt_it_is_another_question(tmp_path: Path, pictures: torch.Tensor) -> None:
    reward, folder = in_run(tmp_path, "one")
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text(json.dumps(dict.fromkeys(ids_of(pictures), 3)))
    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [3.0, 3.0]
    other, folder = in_run(tmp_path, "one", "colours")
    with pytest.raises(Cancelled):
        rated(other, pictures, PROMPTS, Occasion(0, (0, 1), cancelled_after(3)))
    assert asked_in(folder) == ids_of(pictures)
    again, folder = in_run(tmp_path, "two")
    with pytest.raises(Cancelled):
        rated(again, pictures, ["a dog", PROMPTS[1]], Occasion(0, (0, 1), cancelled_after(3)))
    assert asked_in(folder) == [picture_id(pictures[0], "a dog")]


def test_a_rating_that_a_person_changes_wins_here_and_in_later_jobs(tmp_path: Path, pictures: torch.Tensor) -> None:
    def rate(out: str, **said: float) -> list[float]:
        reward, folder = in_run(tmp_path, out)
        if said:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "mine.json").write_text(json.dumps(said))
        return rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist()

    first, second = ids_of(pictures)
    assert rate("one", **{first: 1, second: 2}) == [1.0, 2.0]
    assert rate("two") == [1.0, 2.0]
    assert rate("two", **{first: 5}) == [5.0, 2.0], "in the place where it only counted from before"
    assert rate("three") == [5.0, 2.0]
    assert rate("one", **{first: 7, second: 2}) == [7.0, 2.0]
    assert rate("four") == [7.0, 2.0]


def test_a_rating_that_is_changed_later_in_the_same_run_is_remembered(tmp_path: Path, pictures: torch.Tensor) -> None:
    """Of a picture that this run rates no more."""
    first, second = ids_of(pictures)
    reward, folder = in_run(tmp_path, "one")
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text(json.dumps({first: 1, "../../../outside": 3, "0" * 24: 3}))
    assert rated(reward, pictures[:1], PROMPTS[:1], Occasion(0, (0,), never)).tolist() == [1.0]
    (folder / "mine.json").write_text(json.dumps({first: 4, second: 2, "../../../outside": 4, "0" * 24: 4}))
    assert rated(reward, pictures[1:], PROMPTS[1:], Occasion(0, (1,), never)).tolist() == [2.0]
    other, _ = in_run(tmp_path, "two")
    assert rated(other, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [4.0, 2.0]
    names = {path.stem for path in tmp_path.rglob("*.json")}
    assert names == {"mine", "rated_before", first, second}, "of no picture that was asked, or of none at all"


def test_two_jobs_at_once_are_rated_in_either_folder(tmp_path: Path, pictures: torch.Tensor) -> None:
    first, second = ids_of(pictures)
    places = [in_run(tmp_path, out) for out in ("one", "two")]
    asks = threading.Barrier(2, timeout=60)
    found: list[list[float]] = []

    def job(place: int) -> None:
        reward, folder = places[place]
        calls = 0

        def check() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                assert asked_in(folder) == [first, second]
                asks.wait()  # nobody has rated anything yet
                (folder / "mine.json").write_text(json.dumps({(first, second)[place]: place + 1}))
            assert calls < 100_000

        found.append(rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), check)).tolist())

    threads = [threading.Thread(target=job, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1.0, 2.0]] * 2


@pytest.mark.parametrize(
    "junk",
    ["", '{"rating": ', '{"rating": "4"}', '{"rating": NaN}', '{"rating": true}', "[1]", "7", "\xff\x00", "[" * 250],
)
def test_junk_among_what_is_remembered_is_asked_again(tmp_path: Path, pictures: torch.Tensor, junk: str) -> None:
    first, second = ids_of(pictures)
    reward, folder = in_run(tmp_path, "one")
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text(json.dumps({first: 3, second: 4}))
    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [3.0, 4.0]
    [kept] = (tmp_path / "cache").rglob(f"{first}.json")
    kept.write_text(junk, encoding="latin-1")
    other, folder = in_run(tmp_path, "two")
    person = Person(folder, pictures[:1])
    assert rated(other, pictures, PROMPTS, Occasion(0, (0, 1), person)).tolist() == [2.0, 4.0]
    assert asked_in(folder) == [first]
    third, _ = in_run(tmp_path, "three")
    assert rated(third, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [2.0, 4.0]


def test_a_full_disk_remembers_nothing_and_breaks_nothing(
    tmp_path: Path, pictures: torch.Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    reward, folder = in_run(tmp_path, "one")
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text(json.dumps(dict.fromkeys(ids_of(pictures), 3)))
    with monkeypatch.context() as patch:
        patch.setattr(remembered.os, "replace", full)
        assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [3.0, 3.0]
        assert caplog.text.count("No space left on device") == 1
        assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [3.0, 3.0]
    later, _ = in_run(tmp_path, "two")
    assert rated(later, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [3.0, 3.0], "once there was room"
    (tmp_path / "file").write_text("")
    ctx = Context(out=tmp_path / "three", workspaces=Workspaces(tmp_path / "file" / "cache", 1 << 20))
    reward, folder = reward_human(ctx=ctx).within(ctx), tmp_path / "three" / "ratings"
    assert rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), Person(folder, pictures))).tolist() == [4.5, 2.0]


def test_within_a_sum_it_remembers_too(tmp_path: Path, pictures: torch.Tensor) -> None:
    reward, folder = in_run(tmp_path, "one")
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text(json.dumps(dict.fromkeys(ids_of(pictures), 3)))
    rated(reward, pictures, PROMPTS, Occasion(0, (0, 1), never))
    ctx = Context(out=tmp_path / "two", workspaces=Workspaces(tmp_path / "cache", 1 << 20))
    both = reward_sum([reward_human(ctx=ctx), reward_human("ratings", ctx=ctx)], [1.0, 2.0]).within(ctx)
    assert rated(both, pictures, PROMPTS, Occasion(0, (0, 1), never)).tolist() == [9.0, 9.0]


def test_it_is_the_same_reward_in_another_folder_and_within_a_run(tmp_path: Path) -> None:
    """So a training goes on from its checkpoint when its job is done again."""

    def key(reward: Reward) -> bytes:
        return Contents().key(reward)

    one, two = (reward_human("ratings", ctx=Context(out=tmp_path / out)) for out in ("one", "two"))
    assert key(one) == key(two) == key(one.within(Context())) == key(in_run(tmp_path, "three")[0])
    assert key(one) != key(reward_human("colours", ctx=Context(out=tmp_path / "one")))
    assert key(one) != key(reward_human(endpoint="http://10.0.0.1/", ctx=Context()))
    assert key(HumanReward("a")) != key(HumanReward("b")), "where nothing says what people are asked"
