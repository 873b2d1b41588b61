"""What clients ask a store for: jobs come, are looked at, move, are cancelled and go."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.server.store.conftest import NOW, Submit, telling
from weft.server.store.protocol import Conflict, JobStore, Missing, QueueFull
from weft.server.store.records import Ending, Job, Output, Request

FILE, OTHER, THIRD = (f"sha256:{digit * 64}" for digit in "abc")
DAY = 24 * 3600.0


def titles(jobs: list[Job]) -> list[str]:
    return [job.title for job in jobs]


def queue(store: JobStore) -> list[str]:
    """Titles in the order of the queue, as positions say it."""
    jobs = store.list(state="queued", limit=1000)
    ordered = sorted(jobs, key=lambda job: job.position if job.position is not None else -1)
    assert [job.position for job in ordered] == list(range(len(ordered)))
    return titles(ordered)


def ended(store: JobStore, outputs: tuple[Output, ...] = ()) -> Job:
    claim = store.claim("server", NOW)
    assert claim is not None
    return store.end(claim.job.id, claim.epoch, Ending("done", outputs=outputs), NOW)


def test_a_job_is_what_was_asked_for(store: JobStore) -> None:
    request = Request(
        document='{"weft": 1}',
        targets=("a", "b"),
        priority=3,
        title="Ein Bild",
        tags=("x", "y"),
        slot="tab",
        model="shapes",
    )
    [(job, new)] = store.submit([request], NOW)
    assert new
    assert (job.state, job.created, job.position, job.attempts) == ("queued", NOW, 0, 0)
    assert (job.targets, job.priority, job.title, job.tags) == (("a", "b"), 3, "Ein Bild", ("x", "y"))
    assert (job.slot, job.model, job.started, job.error, job.outputs) == ("tab", "shapes", None, None, ())
    assert store.get(job.id) == job
    assert store.document(job.id) == '{"weft": 1}'
    assert store.events(job.id) == []


def test_ids_sort_by_time_whatever_the_clock_does(submit: Submit) -> None:
    ids = [submit(now=now).id for now in (NOW, NOW, NOW + 1, NOW - 3600, NOW - 3600, NOW + 2)]
    assert ids == sorted(set(ids))


def test_nothing_is_known_of_a_job_that_is_not_there(store: JobStore) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.get("x"),
        lambda: store.document("x"),
        lambda: store.events("x"),
        lambda: store.cancel("x", NOW, telling("c")),
        lambda: store.move("x", priority=1),
        lambda: store.delete("x"),
    ]
    for call in calls:
        with pytest.raises(Missing, match="There is no job 'x'"):
            call()


def test_submitting_tells_the_first_event(store: JobStore) -> None:
    [(job, _)] = store.submit([Request("{}")], NOW, queued=telling("queued"))
    assert [json.loads(text) for text in store.events(job.id)] == [["queued", job.id, "queued", 0]]
    claim = store.claim("server", NOW)
    assert claim is not None
    assert claim.events == 1


def test_submitting_is_all_or_nothing(store: JobStore, submit: Submit) -> None:
    submit(key="k", digest="one")
    with pytest.raises(Conflict, match="'k' came with another body"):
        store.submit([Request("{}", title="new"), Request("{}", key="k", digest="two")], NOW)
    assert titles(store.list()) == [""]


def test_the_queue_has_an_end(store: JobStore, submit: Submit) -> None:
    store.submit([Request("{}", title=str(place)) for place in range(19)], NOW)
    with pytest.raises(QueueFull, match="20 jobs"):
        store.submit([Request("{}"), Request("{}")], NOW)
    assert store.counts()["queued"] == 19
    submit(slot="tab", key="k")
    with pytest.raises(QueueFull):
        submit()
    assert submit(key="k").state == "queued", "a job that is there needs no place"
    submit(slot="tab", title="newer")  # in the place of the one that it cancels
    assert store.counts() == {"queued": 20, "running": 0, "done": 0, "failed": 0, "cancelled": 1}
    store.claim("server", NOW)
    submit()


def test_a_key_gives_the_same_job_for_a_day(store: JobStore, submit: Submit) -> None:
    job = submit(key="k", digest="d", title="first")
    assert store.submit([Request("{}", key="k", digest="d")], NOW + DAY - 1) == [(job, False)]
    assert store.sweep(NOW + DAY - 1) == 0
    [(second, new)] = store.submit([Request("{}", key="k", digest="other")], NOW + DAY)
    assert new
    assert second.id != job.id
    assert store.sweep(NOW + 3 * DAY) == 1
    assert store.sweep(NOW + 3 * DAY) == 0


def test_a_key_twice_in_one_call_is_one_job(store: JobStore) -> None:
    both = store.submit([Request("{}", key="k")] * 2, NOW)
    assert [new for _, new in both] == [True, False]
    assert both[0][0] == both[1][0]


def test_a_key_goes_with_its_job(store: JobStore, submit: Submit) -> None:
    job = submit(key="k", digest="d")
    ended(store)
    store.delete(job.id)
    assert submit(key="k", digest="another").id != job.id


def test_a_newer_job_of_a_slot_cancels_the_older_ones(store: JobStore, submit: Submit) -> None:
    running = submit(slot="tab")
    elsewhere = submit(slot="other tab", priority=-1)
    claim = store.claim("server", NOW)
    assert claim is not None
    waiting = submit(slot="tab")
    assert store.cancelling("server") == [running.id]
    assert store.cancelling("another") == []
    [(newest, _)] = store.submit([Request("{}", slot="tab")], NOW + 5, cancelled=telling("cancelled"))
    assert (store.get(waiting.id).state, store.get(waiting.id).finished) == ("cancelled", NOW + 5)
    assert [json.loads(text) for text in store.events(waiting.id)] == [["cancelled", waiting.id, "cancelled", 0]]
    assert store.get(running.id).state == "running"
    assert store.get(running.id).cancelling
    assert {store.get(job.id).state for job in (newest, elsewhere)} == {"queued"}
    store.end(running.id, claim.epoch, Ending("cancelled"), NOW)
    assert not store.get(running.id).cancelling
    assert store.cancelling("server") == []


def test_jobs_are_listed_newest_first_from_any_place_on(store: JobStore, submit: Submit) -> None:
    ids = [submit(title=str(place), tags=("even",) if place % 2 == 0 else ("odd", "odd")).id for place in range(7)]
    for _ in range(4):
        ended(store, (Output("a", "value", value=1),))
    assert titles(store.list()) == ["6", "5", "4", "3", "2", "1", "0"]
    assert titles(store.list(limit=2)) == ["6", "5"]
    assert titles(store.list(limit=2, before=ids[5])) == ["4", "3"]
    assert titles(store.list(state="done")) == ["3", "2", "1", "0"]
    assert titles(store.list(state="queued", before=ids[5])) == ["4"]
    assert titles(store.list(tag="even", before=ids[6])) == ["4", "2", "0"]
    assert titles(store.list(tag="odd", state="done", limit=1)) == ["3"]
    assert store.list(tag="none") == []
    assert store.list(state="failed") == []
    assert store.list(limit=0) == store.list(limit=-1) == []
    assert len(store.list(limit=10**30)) == 7
    assert store.events(ids[0], since=-(10**30), limit=10**30) == store.events(ids[0], since=10**30) == []
    assert all(job == store.get(job.id) for job in store.list())
    store.delete(ids[3])
    assert titles(store.list(before=ids[3])) == ["2", "1", "0"], "a cursor outlives its job"


def test_a_queued_job_that_is_cancelled_ends(store: JobStore, submit: Submit) -> None:
    job = submit()
    cancelled = store.cancel(job.id, NOW + 1, telling("c"))
    assert (cancelled.state, cancelled.finished, cancelled.position) == ("cancelled", NOW + 1, None)
    assert store.cancel(job.id, NOW + 2, telling("again")) == cancelled
    assert [json.loads(text) for text in store.events(job.id)] == [["c", job.id, "cancelled", 0]]
    assert store.claim("server", NOW) is None


def test_the_end_of_a_running_job_is_asked_for(store: JobStore, submit: Submit) -> None:
    job = submit()
    claim = store.claim("server", NOW)
    assert claim is not None
    assert store.cancel(job.id, NOW, telling("c")).state == "running"
    assert store.get(job.id).cancelling
    assert store.cancelling("server") == [job.id]
    assert store.events(job.id) == [], "its worker tells of the end"


def test_jobs_move(store: JobStore, submit: Submit) -> None:
    ids = {title: submit(title=title).id for title in "abcde"}
    assert store.move(ids["e"], before=ids["a"]).position == 0
    assert queue(store) == ["e", "a", "b", "c", "d"]
    store.move(ids["c"], before=ids["b"])
    assert queue(store) == ["e", "a", "c", "b", "d"]
    store.move(ids["c"], before=ids["c"])
    store.move(ids["c"])
    assert queue(store) == ["e", "a", "c", "b", "d"]
    assert store.move(ids["d"], priority=5).position == 0
    store.move(ids["a"], priority=-5)
    assert queue(store) == ["d", "e", "c", "b", "a"]
    assert store.move(ids["b"], before=ids["d"]).priority == 5
    assert queue(store) == ["b", "d", "e", "c", "a"]
    submit(title="f")
    assert queue(store) == ["b", "d", "e", "c", "f", "a"]
    claims = [store.claim("server", NOW) for _ in range(6)]
    assert [claim.job.title for claim in claims if claim] == ["b", "d", "e", "c", "f", "a"]


def test_jobs_move_however_often_to_the_same_place(store: JobStore, submit: Submit) -> None:
    """Between two places there are twenty others; then those before are placed anew."""
    ids = {title: submit(title=title).id for title in "abcdz"}
    expected = ["a", "b", "c", "d"]
    for count in range(70):
        title = "abcd"[count * 7 % 4]
        store.move(ids[title], before=ids["z"])
        expected.remove(title)
        expected.append(title)
        assert queue(store) == [*expected, "z"]


def test_only_queued_jobs_move(store: JobStore, submit: Submit) -> None:
    running, waiting = submit(), submit()
    store.claim("server", NOW)
    with pytest.raises(Conflict, match="is not queued: it is running"):
        store.move(running.id, priority=1)
    with pytest.raises(Conflict, match="is not queued"):
        store.move(waiting.id, before=running.id)
    with pytest.raises(Missing):
        store.move(waiting.id, before="x")
    with pytest.raises(ValueError, match="not both"):
        store.move(waiting.id, before=running.id, priority=1)
    assert store.get(waiting.id).position == 0


def test_deleting_gives_the_files_that_nobody_names_any_more(store: JobStore, submit: Submit) -> None:
    escaped = f'{{"path": "\\u0073ha256:{"c" * 64}"}}'
    first = submit(f'{{"path": "{FILE}"}}')
    second = submit(f'{{"path": "{FILE}"}}')
    third = submit(escaped)
    for _ in range(2):
        ended(store, (Output("save", "image", "a.png", file=OTHER), Output("text", "value", value=None)))
    ended(store)
    assert store.named_files() == {FILE, OTHER, THIRD}
    assert store.delete(first.id) == []
    assert store.document(second.id) == f'{{"path": "{FILE}"}}'
    assert store.delete(second.id) == [FILE, OTHER]
    assert store.delete(third.id) == [THIRD]
    assert store.named_files() == set()
    assert store.list() == []
    with pytest.raises(Missing):
        store.get(first.id)


def test_only_what_has_ended_is_deleted(store: JobStore, submit: Submit) -> None:
    job = submit()
    with pytest.raises(Conflict, match="has not ended: it is queued"):
        store.delete(job.id)
    store.claim("server", NOW)
    with pytest.raises(Conflict, match="has not ended: it is running"):
        store.delete(job.id)


def test_a_deleted_jobs_events_and_outputs_are_not_the_next_ones(store: JobStore, submit: Submit) -> None:
    job = submit(tags=("t",))
    claim = store.claim("server", NOW)
    assert claim is not None
    store.end(job.id, claim.epoch, Ending("done", outputs=(Output("a", "value", value=1),), events=("{}",)), NOW)
    store.delete(job.id)
    following = submit()
    assert store.events(following.id) == []
    assert ended(store).outputs == ()
    assert store.list(tag="t") == []


def test_the_queue_is_counted(store: JobStore, submit: Submit) -> None:
    assert store.oldest_queued() is None
    submit(now=NOW + 5)
    submit(now=NOW + 1)
    assert store.oldest_queued() == NOW + 1
    assert store.counts() == {"queued": 2, "running": 0, "done": 0, "failed": 0, "cancelled": 0}


def test_text_of_any_kind_comes_back(store: JobStore, submit: Submit) -> None:
    text = "ä 🎨 ' \" % ? \n \\ :x %s"
    job = submit(f'{{"a": {json.dumps(text)}}}', title=text, tags=(text,), slot=text, model=text, targets=(text,))
    read = store.get(job.id)
    assert (read.title, read.tags, read.slot, read.model, read.targets) == (text, (text,), text, text, (text,))
    assert json.loads(store.document(job.id)) == {"a": text}
    assert store.list(tag=text) == [read]
