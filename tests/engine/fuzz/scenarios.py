"""Ways to run random documents, over caches that all of a batch share, and to see that each run was right."""

from __future__ import annotations

import json
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.engine.flow import catalogue
from tests.engine.fuzz.documents import Document, Drawing, Drawn, varied
from tests.engine.fuzz.evaluator import Evaluator, expected
from tests.engine.fuzz.nodes import AMOUNTS, CATALOGUES, NODES, factory
from weft.engine import Cache, Cancelled, CancelToken, Catalogue, RunFailed, Settings, run
from weft.engine.events import Event
from weft.engine.running.lanes import LaneSizes
from weft.graphs import Workflow

CHANGES_IN_PLACE = True
"""Whether nodes that change what they are given are drawn."""

DRAWING = frozenset({"draws_python", "draws_numpy", "draws_declared", "disturbs"})


class WrongError(AssertionError):
    """A run gave what plain evaluation does not."""

    def __init__(self, what: dict[str, Any]) -> None:
        super().__init__(json.dumps(what, indent=1, default=repr))
        self.what = what


@dataclass
class Job:
    """A document to be run, and what it has to give.

    Attributes:
        wanted: the targets' values, written out; None where the run has to fail.
        source: what is run: the document as it is, or read already, and then the same object each time.
    """

    document: Document
    source: Any
    targets: list[str]
    wanted: str | None
    catalogue: Catalogue
    amount: int


@dataclass
class Batch:
    """Some cases over one set of caches: what one left there must not be taken for another's.

    Args:
        seed: says all that is drawn. Threads and cancels make their own order of it.
        folder: empty; for caches on disk, and for files.
    """

    seed: int
    folder: Path
    runs: Counter[str] = field(default_factory=Counter)
    caught: list[str] = field(default_factory=list)
    """What was run over the caches so far, the last ones."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.memory = Cache(memory_bytes=1 << 26)
        self.caches = [self.memory, self.memory, self.memory, Cache.none(), Cache(memory_bytes=1500)]
        if self.rng.random() < 0.25:
            self.caches += [Cache(self.folder / "cache", memory_bytes=size) for size in (1 << 20, 1)]
        self.files = tuple(self.folder / f"file{number}" for number in range(3))
        for path in self.files:
            self.write(path)

    def write(self, path: Path) -> None:
        """Other content, of the same length."""
        path.write_text(str(self.rng.randrange(10, 99)))

    # -- what is run

    def draw(self, drawn: Drawn | None = None) -> Job:
        """A document, what is wanted of it, and in which catalogue."""
        drawn = drawn or Drawn(changes=CHANGES_IN_PLACE, files=self.files, draws=self.rng.random() < 0.6)
        document = Drawing(self.rng, drawn).document()
        while not document["nodes"]:
            document = Drawing(self.rng, drawn).document()
        ids = sorted(document["nodes"])
        return self.job(document, self.rng.sample(ids, self.rng.randint(1, min(4, len(ids)))))

    def job(self, document: Document, targets: list[str], amount: int | None = None, **packed: Any) -> Job:
        """What is wanted of a document now."""
        source = packed.get("source") or (Workflow.parse(document) if self.rng.random() < 0.5 else document)
        amount = self.rng.choice(AMOUNTS) if amount is None else amount
        where = packed.get("catalogue") or CATALOGUES[AMOUNTS.index(amount)]
        wanted = expected(Evaluator(document, amount, packed.get("more"), where), targets)
        return Job(document, source, targets, None if wanted is None else repr(wanted), where, amount)

    def lanes(self) -> Settings:
        """How many nodes may run at once."""
        draw = self.rng.randint
        return Settings(lanes=LaneSizes(cpu=draw(1, 4), io=draw(1, 3), device=1, tasks=draw(1, 8)))

    def run(self, kind: str, job: Job, cache: Cache, **options: Any) -> int:
        """One run, which has to be right; returns how many nodes ran."""
        self.runs[kind] += 1
        options.setdefault("settings", self.lanes())
        ran, found = 0, None
        try:
            result = run(job.source, job.targets, catalogue=job.catalogue, cache=cache, out=self.folder, **options)
            ran, found = result.ran, repr([result[target] for target in job.targets])
        except RunFailed as error:
            if job.wanted is not None or "it broke" not in str(error):
                found = f"{error}"
        self.caught.append(json.dumps([job.document["nodes"], job.targets, job.amount]))
        if found != job.wanted:
            raise WrongError(
                {"kind": kind, "document": job.document, "targets": job.targets, "found": found}
                | {"expected": job.wanted, "amount": job.amount, "before": self.caught[-6:-1]}
            )
        return ran

    def case(self) -> None:
        """One of the ways to run."""
        ways: list[tuple[Callable[[], None], int]] = [
            (self.again, 12),
            (self.cancels, 4),
            (self.at_once, 2),
            (self.host_draws, 1),
            (self.edits, 1),
            (self.meddling, 1),
        ]
        self.rng.choices([way for way, _ in ways], [often for _, often in ways])[0]()

    def again(self) -> None:
        """A document, then one that is almost the same, over caches that know much else; the host notices nothing."""
        job = self.draw()
        cache = self.rng.choice(self.caches)
        with unchanged_generators(job):
            self.run("plain", job, cache)
            if cache is self.memory and not (DRAWING | {"boom"}) & types_of(job):
                ran = self.run("plain", job, cache)
                if ran:
                    raise WrongError({"kind": "ran again", "document": job.document, "targets": job.targets})
            other = varied(job.document, self.rng)
            if self.rng.random() < 0.3:
                self.write(self.rng.choice(self.files))
            self.run("varied", self.job(other, job.targets), self.rng.choice([cache, self.rng.choice(self.caches)]))
            if self.rng.random() < 0.3:
                self.run("plain", self.job(job.document, job.targets, job.amount, source=job.source), cache)

    def cancels(self) -> None:
        """A run that is cancelled somewhere, then one over what it left."""
        job = self.draw()
        cache = self.rng.choice(self.caches)
        token, seen, stop_after = CancelToken(), 0, self.rng.randint(0, 12)

        def count(event: Event) -> None:
            nonlocal seen
            seen += event.event in ("node_started", "node_progress", "node_finished")
            if seen > stop_after:
                token.cancel()

        timer = threading.Timer(self.rng.random() * 0.004, token.cancel) if self.rng.random() < 0.3 else None
        if timer is not None:
            timer.start()
        try:
            self.run("cancelled", job, cache, cancel=token, on_event=count)
        except Cancelled:
            pass
        finally:
            if timer is not None:
                timer.join()
        self.run("after cancel", job, cache)

    def at_once(self) -> None:
        """Two or three runs at the same time over one cache, one of which may be cancelled."""
        first = self.draw()
        jobs = [first, self.job(varied(first.document, self.rng), first.targets), self.draw()]
        jobs = jobs[: self.rng.randint(2, 3)]
        cache = self.rng.choice(self.caches)
        lanes = [self.lanes() for _ in jobs]
        token = CancelToken()
        cancels = self.rng.random() < 0.3
        wrong: list[BaseException] = []

        def go(place: int) -> None:
            try:
                options = {"cancel": token} if cancels and not place else {}
                self.run("at once", jobs[place], cache, settings=lanes[place], **options)
            except Cancelled:
                if not options:
                    wrong.append(AssertionError("a run was cancelled that nobody cancelled"))
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=go, args=(place,)) for place in range(len(jobs))]
        for thread in threads:
            thread.start()
        if cancels:
            time.sleep(self.rng.random() * 0.003)
            token.cancel()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
        self.run("after at once", first, cache)

    def host_draws(self) -> None:
        """Another thread of the host draws meanwhile, and gets its own sequence.

        Of nodes that do not draw themselves: see docs/cache.md.
        """
        job = self.draw(Drawn(draws=False, files=self.files, changes=CHANGES_IN_PLACE))
        seed, over = self.rng.randrange(1000), threading.Event()
        drawn: list[tuple[float, float]] = []
        random.seed(seed)
        np.random.seed(seed)

        def draw() -> None:
            while not over.is_set() and len(drawn) < 3000:
                drawn.append((random.random(), float(np.random.rand())))
                time.sleep(0.00005)

        host = threading.Thread(target=draw)
        host.start()
        try:
            self.run("host draws", job, Cache(memory_bytes=1 << 20))
        finally:
            over.set()
            host.join()
        python, numpy = random.Random(seed), np.random.RandomState(seed)
        if drawn != [(python.random(), float(numpy.rand())) for _ in drawn]:
            raise WrongError({"kind": "the host's numbers", "document": job.document, "targets": job.targets})

    def meddling(self) -> None:
        """Files are written over while a run reads them; what the next run finds has to be what is in them then."""
        job = self.draw(Drawn(files=self.files, breaks=False))
        cache, over = self.rng.choice(self.caches), threading.Event()
        texts = [str(self.rng.randrange(10, 99)) for _ in range(2)]

        def meddle() -> None:
            while not over.is_set():
                for text in texts:
                    for path in self.files:
                        path.write_text(text)
                time.sleep(0.0002)

        host = threading.Thread(target=meddle)
        host.start()
        self.runs["meddled with"] += 1
        try:
            run(job.source, job.targets, catalogue=job.catalogue, cache=cache, settings=self.lanes())
        except RunFailed as error:  # it read between the cutting and the writing
            if "invalid literal for int()" not in str(error):
                raise
        finally:
            over.set()
            host.join()
        for text in texts:
            for path in self.files:
                path.write_text(text)
            again = self.job(job.document, job.targets, job.amount, source=job.source)
            self.run("after meddling", again, cache)

    # -- code that is edited

    def edits(self) -> None:
        """A pack whose code is edited between runs, and at times while a process has it loaded."""
        rng, folder = self.rng, self.folder / "pack"
        cache = rng.choice(self.caches)
        document = Drawing(rng, Drawn(files=self.files, packed=PACKED)).document(4)
        nodes = document["nodes"]
        nodes |= {name: {"type": name, "inputs": {"a": rng.randint(1, 2)}} for name in PACKED}
        targets = list(dict.fromkeys([*PACKED, *rng.sample(sorted(nodes), 2)]))
        source = rng.choice([document, Workflow.parse(document)])
        versions = [{name: rng.randint(1, 3) for name in VALUES} for _ in range(2)]
        for _ in range(rng.randint(2, 4)):
            values = rng.choice(versions)
            write_pack(folder, values)
            amount = rng.choice(AMOUNTS)
            with loaded(folder, amount) as known:
                if rng.random() < 0.3:  # this process goes on with what it has loaded, and loads the rest as it is now
                    self.run(
                        "edited",
                        self.job(document, ["packed"], amount, catalogue=known, more=packed(values), source=source),
                        cache,
                    )
                    write_pack(folder, rng.choice(versions))
                    self.runs["edited"] += 1
                    run(document, [*PACKED], catalogue=known, cache=cache, settings=self.lanes())
                    continue
                self.run(
                    "edited",
                    self.job(document, targets, amount, catalogue=known, more=packed(values), source=source),
                    cache,
                )


def types_of(job: Job) -> set[str]:
    """Of its nodes."""
    return {spec["type"] for spec in job.document["nodes"].values()}


@contextmanager
def unchanged_generators(job: Job) -> Iterator[None]:
    """The generators of the process are as they were."""
    before = random.getstate(), repr(np.random.get_state())
    yield
    if before != (random.getstate(), repr(np.random.get_state())):
        raise WrongError({"kind": "the host's generators", "document": job.document, "targets": job.targets})


PACKED = ("packed", "packed_late", "packed_hidden")
PACK = """
import importlib
from weft.engine import node
from . import _helper
from ._helper import TABLE
OWN = {own}
@node("packed")
def packed(a: int) -> int:
    return a * OWN + _helper.helped(a) + TABLE["x"][0]
@node("packed_late")
def packed_late(a: int) -> int:
    from ._late import late
    return late(a) * {own}
@node("packed_hidden")
def packed_hidden(a: int) -> int:
    return importlib.import_module("._hid" + "den", __package__).hidden(a)
"""
HELPER = "TABLE = {{'x': [{table}]}}\ndef helped(a): return inner(a) + 1\ndef inner(a): return a * 10 * {helper}\n"
LATE = "def late(a): return a + 1000 * {late}\n"
HIDDEN = "def hidden(a): return a + 100 * {hidden}\n"
VALUES = ("own", "helper", "table", "late", "hidden")


def write_pack(folder: Path, values: dict[str, int]) -> None:
    """The pack's files, of the same lengths whatever the values."""
    folder.mkdir(exist_ok=True)
    for name, text in (("nodes", PACK), ("_helper", HELPER), ("_late", LATE), ("_hidden", HIDDEN)):
        (folder / f"{name}.py").write_text(text.format(**values))


def packed(values: dict[str, int]) -> dict[str, Callable[..., Any]]:
    """What its nodes come to."""
    own, helper, table, late, hidden = (values[name] for name in VALUES)
    return {
        "packed": lambda a: a * own + a * 10 * helper + 1 + table,
        "packed_late": lambda a: (a + 1000 * late) * own,
        "packed_hidden": lambda a: a + 100 * hidden,
    }


@contextmanager
def loaded(folder: Path, amount: int) -> Iterator[Catalogue]:
    """The pack as a process that starts now has it; its modules are gone afterwards."""
    before, writes = set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        known = catalogue(*NODES, factory(amount))
        known.add_folder(folder)
        assert not known.failures, known.failures
        yield known
    finally:
        sys.dont_write_bytecode = writes
        for name in set(sys.modules) - before:
            if name.startswith("weft_nodes_"):
                del sys.modules[name]


CASES = 12
"""In one batch."""


def batches(seed: int, folder: Path, go_on: Callable[[Counter[str]], bool]) -> Counter[str]:
    """Batch after batch, with seeds that follow from `seed`, while `go_on` says so of the runs that there were by kind.

    Raises:
        WrongError: a run was wrong, or ended in a way that it must not.
    """
    runs: Counter[str] = Counter()
    number = seed * 1_000_000
    while go_on(runs):
        batch = Batch(number, folder / str(number), runs)
        try:
            for _ in range(CASES):
                batch.case()
        except WrongError as error:
            error.what["batch"] = number
            raise WrongError(error.what) from error
        except BaseException as error:
            error.add_note(f"batch {number}, after {batch.caught[-3:]}")
            raise
        finally:
            shutil.rmtree(batch.folder, ignore_errors=True)
        number += 1
    return runs
