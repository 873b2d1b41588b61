"""The store beside a dict that cannot crash: whatever happens in whatever order, both have the same."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.server.store.conftest import NOW, telling
from weft.server.store.protocol import Conflict, Fenced, JobStore
from weft.server.store.records import ENDED, Claim, Ending, Job, Output, Request
from weft.server.store.sqlite import SqliteStore

T = TypeVar("T")
CRASH = st.one_of(st.none(), st.none(), st.integers(0, 14))
"""Before which statement of a call the computer stops; None for never."""
PLACE = st.integers(0, 30)
MEMORY = Path("/dev/shm")


@dataclass
class ModelJob:
    """A job as it must be."""

    state: str
    priority: int
    document: str
    slot: str | None
    attempts: int = 0
    cancelling: bool = False
    events: list[str] = field(default_factory=list)
    outputs: tuple[Output, ...] = ()
    progress: tuple[int, int, int] = (0, 0, 0)


@dataclass
class Model:
    """What the store must hold."""

    jobs: dict[str, ModelJob] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    paused: bool = False
    moved: bool = False
    """Whether places are other than age says."""

    def finish(self, id: str, state: str, kind: str | None = None) -> None:
        job = self.jobs[id]
        job.state, job.cancelling = state, False
        if id in self.queue:
            self.queue.remove(id)
        if kind is not None:
            job.events.append(json.dumps([kind, id, state, len(job.events)]))

    def queued(self, id: str) -> None:
        """Into the queue by priority, then age."""
        self.queue.append(id)
        self.queue.sort(key=lambda each: (-self.jobs[each].priority, each))


class Machine(RuleBasedStateMachine):
    """Rules are the calls of a store; each may be cut off by a crash, and then it has not happened."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.crashes = 0
        self.countdown: int | None = None
        self.copied: Path | None = None
        self.model = Model()
        self.claims: list[Claim] = []
        self.owner = "server 0"
        self.open(self.folder / "weft.sqlite")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.store.close()
            shutil.rmtree(self.folder)

    def open(self, file: Path) -> None:
        self.store = SqliteStore(file, trace=self.statement)

    def statement(self, text: str) -> None:
        if self.countdown is not None and self.copied is None:
            self.countdown -= 1
            if self.countdown < 0:
                self.crash()

    def crash(self) -> None:
        """Copy what is on the disk now."""
        self.crashes += 1
        folder = self.folder / str(self.crashes)
        folder.mkdir()
        for suffix in ("", "-wal"):
            source = self.store.file.with_name(f"{self.store.file.name}{suffix}")
            if source.exists():
                shutil.copy(source, folder / source.name)
        self.copied = folder / self.store.file.name

    def call(self, call: Callable[[JobStore], T], crash: int | None, expected: Callable[[T], None]) -> None:
        """Make a call. When it was cut off the model stays as it is, else `expected` changes it."""
        before = copy.deepcopy(self.model)
        self.countdown, self.copied = crash, None
        result = call(self.store)
        cut_off = self.copied is not None
        if crash is not None and not cut_off:
            self.crash()  # right after the call had returned
        self.countdown = None
        if cut_off:
            self.model = before
        else:
            expected(result)
        if self.copied is not None:
            self.store.close()
            self.open(self.copied)
            self.owner = f"server {self.crashes}"
            assert {claim.job.id for claim in self.abandon()} == self.running()

    def abandon(self) -> list[Claim]:
        claims = self.store.abandoned(self.owner)
        self.claims += claims
        return claims

    def running(self) -> set[str]:
        return {id for id, job in self.model.jobs.items() if job.state == "running"}

    def job(self, place: int) -> str | None:
        """Any job."""
        ids = list(self.model.jobs)
        return ids[place % len(ids)] if ids else None

    # -- rules

    @rule(
        crash=CRASH,
        wanted=st.lists(
            st.tuples(st.integers(-1, 1), st.sampled_from([None, None, "tab", "bat"]), st.sampled_from("ab")),
            min_size=1,
            max_size=4,
        ),
    )
    def submit(self, crash: int | None, wanted: list[tuple[int, str | None, str]]) -> None:
        requests = [
            Request(f'"sha256:{letter * 64}"', priority=priority, slot=slot, tags=(letter,))
            for priority, slot, letter in wanted
        ]

        def expected(jobs: list[tuple[Job, bool]]) -> None:
            for request, (job, new) in zip(requests, jobs, strict=True):
                assert new
                self.arrive(request, job.id)

        self.call(
            lambda store: store.submit(requests, NOW, queued=telling("queued"), cancelled=telling("newer")),
            crash,
            expected,
        )

    def arrive(self, request: Request, id: str) -> None:
        assert all(id > other for other in self.model.jobs)
        for other, job in self.model.jobs.items():
            if request.slot is not None and job.slot == request.slot:
                if job.state == "queued":
                    self.model.finish(other, "cancelled", "newer")
                elif job.state == "running":
                    job.cancelling = True
        event = json.dumps(["queued", id, "queued", 0])
        self.model.jobs[id] = ModelJob("queued", request.priority, request.document, request.slot, events=[event])
        # Within its priority it is the last one, wherever the others were moved to.
        place = sum(self.model.jobs[each].priority >= request.priority for each in self.model.queue)
        self.model.queue.insert(place, id)

    @rule(crash=CRASH, key=st.sampled_from("kl"), digest=st.sampled_from("xxxy"))
    def submit_with_key(self, crash: int | None, key: str, digest: str) -> None:
        request = Request("{}", key=key, digest=digest)
        known = self.model.keys.get(f"{key}{digest}")
        other = any(name[0] == key for name in self.model.keys) and known is None

        def expected(jobs: list[tuple[Job, bool]]) -> None:
            [(job, new)] = jobs
            assert new == (known is None)
            if known is None:
                self.arrive(request, job.id)
                self.model.keys[f"{key}{digest}"] = job.id
            else:
                assert job.id == known

        if other:
            with pytest.raises(Conflict):
                self.store.submit([request], NOW)
        else:
            self.call(lambda store: store.submit([request], NOW, queued=telling("queued")), crash, expected)

    @rule(crash=CRASH)
    def claim(self, crash: int | None) -> None:
        def expected(claim: Claim | None) -> None:
            if self.model.paused or not self.model.queue:
                assert claim is None
                return
            assert claim is not None
            assert claim.job.id == self.model.queue.pop(0)
            job = self.model.jobs[claim.job.id]
            job.state = "running"
            assert (claim.document, claim.events) == (job.document, len(job.events))
            assert all(claim.epoch > other.epoch for other in self.claims if other.job.id == claim.job.id)
            self.claims.append(claim)

        self.call(lambda store: store.claim(self.owner, NOW), crash, expected)

    def is_current(self, claim: Claim) -> bool:
        id = claim.job.id
        newest = max(other.epoch for other in self.claims if other.job.id == id)
        return claim.epoch == newest and id in self.running()

    def speak(
        self, place: int, crash: int | None, call: Callable[[JobStore, Claim], T], expected: Callable[[str, T], None]
    ) -> None:
        """In the name of some claim, be it of today or long ago."""
        if not self.claims:
            return
        claim = self.claims[-1 - place % min(len(self.claims), 6)]
        if self.is_current(claim):
            self.call(lambda store: call(store, claim), crash, lambda result: expected(claim.job.id, result))
        else:
            with pytest.raises(Fenced):
                call(self.store, claim)

    @rule(crash=CRASH, place=PLACE, count=st.integers(0, 3))
    def record(self, crash: int | None, place: int, count: int) -> None:
        texts = [f'"{number}"' for number in range(count)]

        def expected(id: str, known: int) -> None:
            job = self.model.jobs[id]
            job.events += texts
            job.progress = (count, 1, 5)
            assert known == len(job.events)

        self.speak(
            place, crash, lambda store, claim: store.record(claim.job.id, claim.epoch, texts, (count, 1, 5)), expected
        )

    @rule(
        crash=CRASH, place=PLACE, state=st.sampled_from(["done", "failed", "cancelled"]), letter=st.sampled_from("bc")
    )
    def end(self, crash: int | None, place: int, state: str, letter: str) -> None:
        outputs = (Output("n", "file", file=f"sha256:{letter * 64}"), Output("v", "value", value=[letter]))
        ending = Ending(state, outputs, ran=4, cached=1, of=5, events=('"end"',))  # type: ignore[arg-type]

        def expected(id: str, job: Job) -> None:
            self.model.finish(id, state)
            kept = self.model.jobs[id]
            kept.outputs, kept.progress = outputs, (4, 1, 5)
            kept.events.append('"end"')

        self.speak(place, crash, lambda store, claim: store.end(claim.job.id, claim.epoch, ending, NOW), expected)

    @rule(crash=CRASH, place=PLACE, died=st.booleans())
    def give_back(self, crash: int | None, place: int, died: bool) -> None:
        def expected(id: str, job: Job) -> None:
            kept = self.model.jobs[id]
            kept.attempts += died
            if kept.cancelling:
                self.model.finish(id, "cancelled", "back")
            elif died and kept.attempts >= 2:
                self.model.finish(id, "failed", "back")
            else:
                kept.state, kept.progress = "queued", (0, 0, 0)
                self.returned(id)

        self.speak(
            place,
            crash,
            lambda store, claim: store.give_back(
                claim.job.id, claim.epoch, died=died, now=NOW, most=2, error={"code": "x"}, event=telling("back")
            ),
            expected,
        )

    def returned(self, id: str) -> None:
        """A job is in the queue again, or has another priority; after moves its place is not by age."""
        others = [each for each in self.model.queue if each != id]
        if self.model.moved:
            now = self.order()
            assert [each for each in now if each != id] == others
            self.model.queue = now
        else:
            self.model.queue = others
            self.model.queued(id)

    @rule(crash=CRASH, place=PLACE)
    def cancel(self, crash: int | None, place: int) -> None:
        id = self.job(place)
        if id is None:
            return

        def expected(_: Job) -> None:
            if self.model.jobs[id].state == "queued":
                self.model.finish(id, "cancelled", "c")
            elif self.model.jobs[id].state == "running":
                self.model.jobs[id].cancelling = True

        self.call(lambda store: store.cancel(id, NOW, telling("c")), crash, expected)

    @rule(crash=CRASH, place=PLACE, to=PLACE)
    def move(self, crash: int | None, place: int, to: int) -> None:
        if not self.model.queue:
            return
        id, before = (self.model.queue[number % len(self.model.queue)] for number in (place, to))

        def expected(job: Job) -> None:
            if id != before:
                self.model.moved = True
                self.model.queue.remove(id)
                self.model.queue.insert(self.model.queue.index(before), id)
                self.model.jobs[id].priority = self.model.jobs[before].priority

        self.call(lambda store: store.move(id, before=before), crash, expected)

    @rule(crash=CRASH, place=PLACE, priority=st.integers(-1, 2))
    def prioritize(self, crash: int | None, place: int, priority: int) -> None:
        if not self.model.queue:
            return
        id = self.model.queue[place % len(self.model.queue)]

        def expected(job: Job) -> None:
            self.model.jobs[id].priority = priority
            self.returned(id)

        self.call(lambda store: store.move(id, priority=priority), crash, expected)

    @rule(crash=CRASH, place=PLACE)
    def delete(self, crash: int | None, place: int) -> None:
        id = self.job(place)
        if id is None:
            return
        if self.model.jobs[id].state not in ENDED:
            with pytest.raises(Conflict):
                self.store.delete(id)
            return
        named = self.named()

        def expected(files: list[str]) -> None:
            del self.model.jobs[id]
            self.model.keys = {key: job for key, job in self.model.keys.items() if job != id}
            assert set(files) == named - self.named()

        self.call(lambda store: store.delete(id), crash, expected)

    @rule(crash=CRASH, paused=st.booleans())
    def pause(self, crash: int | None, paused: bool) -> None:
        def expected(_: None) -> None:
            self.model.paused = paused

        self.call(lambda store: store.pause(paused), crash, expected)

    @rule(crash=st.one_of(st.none(), st.integers(0, 60)), count=st.integers(1, 4), wrong=st.booleans())
    def several(self, crash: int | None, count: int, wrong: bool) -> None:
        """Submitted in one transaction with a call in between that is refused."""

        def refused(store: JobStore) -> None:
            store.submit([Request("{}", title="undone", slot="tab")], NOW)
            store.record("nobody", 1, ["{}"], (0, 0, 0))

        one = Request("{}", title="one")
        calls: list[Callable[[JobStore], object]] = [
            lambda store: store.submit([one], NOW, queued=telling("queued")) for _ in range(count)
        ]
        if wrong:
            calls.insert(1, refused)

        def expected(results: list[object]) -> None:
            assert [isinstance(result, Fenced) for result in results].count(True) == int(wrong)
            for result in results:
                if isinstance(result, list):
                    self.arrive(one, result[0][0].id)

        self.call(lambda store: store.apply(calls), crash, expected)

    # -- what holds

    def named(self) -> set[str]:
        documents = {json.loads(job.document) for job in self.model.jobs.values() if job.document != "{}"}
        outputs = {output.file for job in self.model.jobs.values() for output in job.outputs if output.file}
        return documents | outputs

    def order(self) -> list[str]:
        jobs = self.store.list(state="queued", limit=1000)
        places = {job.position: job.id for job in jobs}
        assert sorted(places, key=int) == list(range(len(jobs)))  # type: ignore[arg-type]
        return [places[number] for number in range(len(jobs))]

    @invariant()
    def both_have_the_same(self) -> None:
        if not hasattr(self, "folder"):
            return
        model, store = self.model, self.store
        assert {job.id for job in store.list(limit=1000)} == set(model.jobs)
        for job in store.list(limit=1000):
            kept = model.jobs[job.id]
            assert (job.state, job.priority, job.slot) == (kept.state, kept.priority, kept.slot)
            assert (job.attempts, job.cancelling, job.outputs) == (kept.attempts, kept.cancelling, kept.outputs)
            assert (job.done, job.cached, job.of) == kept.progress
            assert store.events(job.id) == kept.events
            assert store.document(job.id) == kept.document
        assert self.order() == model.queue
        assert store.named_files() == self.named()
        assert store.paused() == model.paused
        states = [job.state for job in model.jobs.values()]
        assert store.counts() == {state: states.count(state) for state in ("queued", "running", *ENDED)}


Machine.TestCase.settings = settings(max_examples=120, stateful_step_count=30, derandomize=True, deadline=None)
TestMachine = Machine.TestCase
