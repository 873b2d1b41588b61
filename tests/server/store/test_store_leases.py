"""What workers ask a store for: who runs a job, who may speak of it, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.server.store.conftest import NOW, Submit, telling
from weft.server.store.protocol import Fenced, JobStore
from weft.server.store.records import Claim, Ending, Output, Request


def claimed(store: JobStore, now: float = NOW, **options: object) -> Claim:
    claim = store.claim("server", now, **options)  # type: ignore[arg-type]
    assert claim is not None
    return claim


def test_jobs_are_claimed_by_priority_then_age(store: JobStore, submit: Submit) -> None:
    for title, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)]:
        submit(title=title, priority=priority)
    assert [claimed(store).job.title for _ in range(5)] == ["b", "d", "a", "c", "e"]
    assert store.claim("server", NOW) is None


def test_a_claim_has_what_a_worker_needs(store: JobStore, submit: Submit) -> None:
    job = submit('{"weft": 1}', title="a")
    claim = claimed(store, NOW + 3)
    assert claim == Claim(replace(job, state="running", started=NOW + 3, position=None), '{"weft": 1}', 1, 0)


def test_a_model_that_is_there_is_preferred_within_a_priority(store: JobStore, submit: Submit) -> None:
    for title, model, priority in [("a", "m", 0), ("b", "n", 1), ("c", "m", 1), ("d", "", 1)]:
        submit(title=title, model=model, priority=priority)
    assert claimed(store, models=("x",)).job.title == "b", "nothing fits"
    submit(title="e", model="n", priority=1)
    assert claimed(store, models=("n", "x")).job.title == "e"
    assert claimed(store, models=("m",)).job.title == "c"
    assert claimed(store, models=("m",)).job.title == "d", "a lower priority passes nobody"
    assert claimed(store).job.title == "a"


def test_a_job_passes_so_many_others_and_no_more(store: JobStore) -> None:
    requests = [Request("{}", model="a") for _ in range(4)] + [Request("{}", model="b", title="b")]
    store.submit(requests, NOW)
    assert claimed(store, models=("b",), look_ahead=3).job.title == ""
    assert claimed(store, models=("b",), look_ahead=3).job.title == "b"


@pytest.mark.parametrize(
    ("later", "passes"), [(59.0, True), (60.0, False), (1e6, False), (0.0, True), (-3600.0, False)]
)
def test_nobody_waits_long_for_being_passed(store: JobStore, submit: Submit, later: float, passes: bool) -> None:
    """However long the job has waited for others before; and a clock that is set back makes nobody wait."""
    submit(model="a", title="a", now=NOW - 1000)
    for _ in range(2):
        submit(model="b", title="b", now=NOW - 1000)
    assert claimed(store, NOW, models=("b",)).job.title == "b"
    assert claimed(store, NOW + later, models=("b",)).job.title == ("b" if passes else "a")


def test_state_events_are_counted(store: JobStore, submit: Submit) -> None:
    job = submit()
    claim = claimed(store)
    assert store.record(job.id, claim.epoch, ["0", "1"], (1, 0, 4)) == 2
    assert store.record(job.id, claim.epoch, [], (2, 1, 4)) == 2
    assert store.record(job.id, claim.epoch, ["2"], (3, 1, 4)) == 3
    read = store.get(job.id)
    assert (read.done, read.cached, read.of) == (3, 1, 4)
    assert store.events(job.id) == ["0", "1", "2"]
    assert store.events(job.id, since=1, limit=1) == ["1"]
    assert store.events(job.id, since=3) == []
    ended = store.end(job.id, claim.epoch, Ending("failed", events=("3", "4"), error={"code": "x"}), NOW)
    assert store.events(job.id, since=2) == ["2", "3", "4"]
    assert (ended.done, ended.cached, ended.of) == (3, 1, 4), "an ending that does not say leaves what is known"


def test_an_ending_publishes_everything_at_once(store: JobStore, submit: Submit) -> None:
    job = submit()
    claim = claimed(store)
    outputs = (
        Output("save", "image", "a.png", f"sha256:{'a' * 64}", "image/png", 12, 3, 4),
        Output("number", "value", value={"a": [1, None, "ä"]}),
        Output("nothing", "value"),
    )
    ending = Ending("done", outputs, None, 1.5, 3, 2, 5, ('{"event": "job_finished"}',))
    ended = store.end(job.id, claim.epoch, ending, NOW + 9)
    assert ended == store.get(job.id) == store.list()[0]
    assert (ended.state, ended.finished, ended.outputs) == ("done", NOW + 9, outputs)
    assert (ended.seconds, ended.ran, ended.done, ended.cached, ended.of) == (1.5, 3, 3, 2, 5)
    assert store.events(job.id) == ['{"event": "job_finished"}']


def test_a_job_ends_as_what_it_can(store: JobStore, submit: Submit) -> None:
    job = submit()
    claim = claimed(store)
    with pytest.raises(ValueError, match="not as 'running'"):
        store.end(job.id, claim.epoch, Ending("running"), NOW)
    assert store.get(job.id).state == "running"


def calls(store: JobStore, id: str, epoch: int) -> list[Callable[[], object]]:
    return [
        lambda: store.record(id, epoch, ["{}"], (9, 9, 9)),
        lambda: store.end(id, epoch, Ending("done", outputs=(Output("a", "value", value=1),)), NOW),
        lambda: store.give_back(id, epoch, died=True, now=NOW),
    ]


def test_what_a_worker_says_after_its_job_was_taken_is_not_kept(store: JobStore, submit: Submit) -> None:
    job = submit()
    first = claimed(store)

    def refused(epoch: int) -> None:
        before = store.get(job.id)
        for call in calls(store, job.id, epoch):
            with pytest.raises(Fenced, match=f"epoch {epoch}"):
                call()
        assert store.get(job.id) == before

    refused(first.epoch + 1)
    store.give_back(job.id, first.epoch, died=False, now=NOW)
    refused(first.epoch)
    second = claimed(store)
    assert second.epoch > first.epoch
    refused(first.epoch)
    [third] = store.abandoned("next server")
    refused(second.epoch)
    store.end(job.id, third.epoch, Ending("done"), NOW)
    refused(third.epoch)
    store.delete(job.id)
    for call in calls(store, job.id, third.epoch):
        with pytest.raises(Fenced):
            call()


def test_a_job_that_is_given_back_has_its_place(store: JobStore, submit: Submit) -> None:
    jobs = [submit(title=title) for title in "abc"]
    claim = claimed(store)
    store.record(claim.job.id, claim.epoch, ["{}"], (1, 1, 3))
    back = store.give_back(claim.job.id, claim.epoch, died=False, now=NOW + 1)
    assert back == jobs[0]
    assert [claimed(store).job.title for _ in range(3)] == ["a", "b", "c"]
    assert store.events(jobs[0].id) == ["{}"], "what was said stays said"


def test_the_third_death_is_the_last(store: JobStore, submit: Submit) -> None:
    job = submit()
    for attempt in (1, 2):
        back = store.give_back(job.id, claimed(store).epoch, died=True, now=NOW, event=telling("died"))
        assert (back.state, back.attempts) == ("queued", attempt)
    store.give_back(job.id, claimed(store).epoch, died=False, now=NOW)
    epoch = claimed(store).epoch
    failed = store.give_back(job.id, epoch, died=True, now=NOW + 9, error={"code": "x"}, event=telling("died"))
    assert (failed.state, failed.attempts, failed.finished, failed.error) == ("failed", 3, NOW + 9, {"code": "x"})
    assert [json.loads(text) for text in store.events(job.id)] == [["died", job.id, "failed", 0]]
    assert store.claim("server", NOW) is None


def test_how_many_deaths_there_may_be_is_said(store: JobStore, submit: Submit) -> None:
    job = submit()
    assert store.give_back(job.id, claimed(store).epoch, died=True, now=NOW, most=1).state == "failed"
    assert store.events(job.id) == []


@pytest.mark.parametrize("died", [False, True])
def test_a_job_whose_end_was_asked_for_does_not_return(store: JobStore, submit: Submit, died: bool) -> None:
    job = submit()
    epoch = claimed(store).epoch
    store.cancel(job.id, NOW, telling("c"))
    ended = store.give_back(job.id, epoch, died=died, now=NOW + 1, most=1, error={"code": "x"}, event=telling("e"))
    assert (ended.state, ended.finished, ended.error, ended.cancelling) == ("cancelled", NOW + 1, None, False)
    assert [json.loads(text) for text in store.events(job.id)] == [["e", job.id, "cancelled", 0]]


def test_a_server_finds_what_others_left(store: JobStore, submit: Submit) -> None:
    first, second = submit('{"a": 1}'), submit()
    lost = claimed(store)
    store.record(lost.job.id, lost.epoch, ["{}"], (0, 0, 1))
    own = store.claim("next", NOW)
    assert own is not None
    [claim] = store.abandoned("next")
    assert (claim.job.id, claim.document, claim.events) == (first.id, '{"a": 1}', 1)
    assert claim.epoch > lost.epoch
    assert store.abandoned("next") == [], "they are its own now"
    assert store.give_back(claim.job.id, claim.epoch, died=True, now=NOW).state == "queued"
    store.end(second.id, own.epoch, Ending("done"), NOW)
    assert store.abandoned("third") == []


def test_a_paused_queue_gives_nothing(store: JobStore, submit: Submit) -> None:
    submit()
    assert not store.paused()
    for _ in range(2):
        store.pause(True)
        assert store.paused()
        assert store.claim("server", NOW) is None
    store.pause(False)
    assert not store.paused()
    assert store.claim("server", NOW) is not None


def test_jobs_that_may_be_done_together_are_claimed_together(store: JobStore, submit: Submit) -> None:
    for title, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", 0)]:
        submit(json.dumps({"weft": title}), title=title, priority=priority)
    asked: list[str] = []

    def also(document: str) -> bool:
        asked.append(json.loads(document)["weft"])
        return asked[-1] != "c"

    claim = claimed(store, also=also)
    assert [one.job.title for one in (claim, *claim.more)] == ["b", "d", "a"], "in the order of the queue"
    assert asked == ["b", "d", "a", "c"], "and nobody passes the one that may not"
    assert [one.job.state for one in claim.more] == ["running"] * 2
    times = [one.job.started or 0.0 for one in (claim, *claim.more)]
    assert times == sorted(set(times)), "who sorts by them finds the order"
    for one in (claim, *claim.more):
        assert one.document == json.dumps({"weft": one.job.title})
        assert store.end(one.job.id, one.epoch, Ending("done"), NOW).state == "done"
    assert claimed(store, also=lambda document: False).more == ()


def test_each_job_of_a_claim_has_a_lease_of_its_own(store: JobStore, submit: Submit) -> None:
    for title in "abc":
        submit(title=title)
    first = claimed(store, also=lambda document: True)
    second, third = first.more
    store.give_back(second.job.id, second.epoch, died=False, now=NOW)
    again = claimed(store)
    assert (again.job.title, again.epoch, again.job.attempts) == ("b", 2, 0)
    with pytest.raises(Fenced):
        store.end(second.job.id, second.epoch, Ending("done"), NOW)
    assert store.end(third.job.id, third.epoch, Ending("done"), NOW).state == "done"


@pytest.mark.parametrize("fields", [{"model": "m"}, {"document": '"%s"' % ("x" * 20_000)}])
def test_another_model_and_a_long_document_are_claimed_alone(store: JobStore, fields: dict[str, str]) -> None:
    short = Request("{}", title="a")
    other = Request(**{"document": "{}", "title": "b", **fields})
    store.submit([short, other, replace(short, title="c")], NOW)
    found = [claimed(store, also=lambda document: True) for _ in range(3)]
    assert [(claim.job.title, claim.more) for claim in found] == [("a", ()), ("b", ()), ("c", ())]


def test_a_job_that_was_claimed_for_a_model_takes_none_along_of_another(store: JobStore, submit: Submit) -> None:
    for title, model in [("a", "m"), ("b", "n"), ("c", "n")]:
        submit(title=title, model=model)
    claim = claimed(store, models=("n",), also=lambda document: True)
    assert (claim.job.title, claim.more) == ("b", ()), "the next one in the queue needs the other one"
