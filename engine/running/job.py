"""One job, from a document to its result: check, plan, run, and one last event that says how it ended."""

from __future__ import annotations

import functools
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from weft.engine.cache import Cache
from weft.engine.cache.known_contents import recall
from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.functions import Functions
from weft.engine.checking.prepare import Prepared
from weft.engine.checking.remembered import Known, prepare_again
from weft.engine.checking.source import Source, read_source
from weft.engine.declaring.context import Context
from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled, NodeError
from weft.engine.events import ErrorDetail, JobCancelled, JobFailed, JobFinished, JobStarted, NodeFailed, OutputMade
from weft.engine.planning.again import plan_again
from weft.engine.planning.parts import without
from weft.engine.planning.plan import Plan
from weft.engine.planning.provenance import OfBatch, provenance
from weft.engine.planning.steps import Step
from weft.engine.planning.unfold import Bounds
from weft.engine.running.backend import Backend
from weft.engine.running.devices import ON_DEVICE, Devices, shared_devices
from weft.engine.running.emitter import Emitter
from weft.engine.running.executor import Executor
from weft.engine.running.lanes import LaneSizes
from weft.engine.running.result import Artifact, Failure, Result, RunFailed, artifacts
from weft.engine.running.scheduler import Scheduler
from weft.engine.running.sound import sound_part
from weft.engine.values import Outputs
from weft.graphs.document import Workflow
from weft.graphs.problems import WorkflowError


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run behaves.

    Attributes:
        preview_interval: seconds between two previews of one node at least; None for no previews, which saves a node
            the making of pictures that nobody shows.
        lanes: how many nodes of each kind run at once.
        devices: the slots of the devices that this run shares with others; None for those of the process.
        max_depth: how deep graphs may return graphs.
        max_steps: how many steps may come from mapped lists and from graphs that nodes return, all together.
        debug: a node that changes its inputs in place fails. It harms nobody here, since nodes get copies, but it does
            where they are called otherwise. Takes the time of reading each input twice. By default whether `WEFT_DEBUG`
            is set in the environment, and not to 0.
    """

    preview_interval: float | None = 0.25
    lanes: LaneSizes = field(default_factory=LaneSizes)
    devices: Devices | None = None
    max_depth: int = 32
    max_steps: int = 100_000
    debug: bool = field(default_factory=lambda: os.environ.get("WEFT_DEBUG", "0") not in ("", "0"))


class Job:
    """One job, from document to result."""

    prepared: Prepared
    known: Known | None
    document: Workflow
    targets: list[str]
    emitter: Emitter
    functions: Functions

    def __init__(
        self,
        *,
        cache: Cache,
        catalogue: Catalogue,
        out: Path,
        cancel: CancelToken,
        settings: Settings,
        roots: Sequence[str | os.PathLike[str]] | None,
        backend: Backend,
        keep_going: bool = False,
    ) -> None:
        self.keep_going = keep_going
        self.backend = backend
        self.cache = cache
        self.catalogue = catalogue
        self.out = out
        self.cancel = cancel
        self.settings = settings
        # A node that has a slot and starts a run waits for it: what that runs must not wait for the slot.
        self.devices = settings.devices or (Devices(settings.lanes.device) if ON_DEVICE.get() else None)
        self.roots = None if roots is None else [Path(root).absolute() for root in roots]
        self.result = Result(uuid.uuid4().hex)
        self._texts: dict[str, str] | None = None
        self._reused: list[int] = []
        self._ran: set[str] = set()
        self._steered: set[str] = set()
        self._artifacts: list[tuple[tuple[int, ...], Artifact]] = []
        self.plan: Plan | None = None
        self.ending = CancelToken()
        """Cancelled when the run has to end: when `cancel` is, and when the listener brought it down."""
        self.stop = CancelToken()
        self._broken: dict[str, NodeError] = {}

    def run(self, source: Source, targets: list[str] | None) -> Result:
        """Carry the job to its end, whatever that is, and say so in one last event."""
        start = time.perf_counter()
        try:
            with self.cancel.notifying(self.ending.cancel):
                self._carry_out(source, targets)
        except WorkflowError:
            raise  # nothing ran: no job began
        except BaseException as raised:
            self._count(start)
            self._fail(raised)
        else:
            self._count(start)
            self._succeed()
        finally:
            self.emitter.close()
        if self.emitter.failure is not None:
            raise self.emitter.failure
        return self.result

    def _prepare(self, targets: list[str] | None) -> None:
        self.prepared, self.known = self._checked(targets)
        if self._is_wrong:
            problems = self.prepared.problems
            wanted = self.prepared.target_nodes(self.prepared.catalogue) if targets is None else targets
            sound = sound_part(self.document, problems, wanted) if self.keep_going or targets is not None else None
            if sound is None or (sound.broken and not self.keep_going):
                raise WorkflowError(problems)
            self.document = sound.document
            self.prepared, self.known = self._checked(sound.targets)
            if self._is_wrong:
                raise WorkflowError(problems)
            self._broken = sound.broken
        self.catalogue = self.prepared.catalogue
        self.targets = self.prepared.target_nodes(self.catalogue)
        self.result.aliases = self.prepared.aliases

    def _checked(self, targets: Sequence[str] | None) -> tuple[Prepared, Known | None]:
        return prepare_again(self.document, self.catalogue, targets=targets, roots=self.roots, functions=self.functions)

    @property
    def _is_wrong(self) -> bool:
        return any(problem.severity == "error" for problem in self.prepared.problems)

    def _carry_out(self, source: Source, targets: list[str] | None) -> None:
        self.document = read_source(source)
        executor = self.backend.lease(self.cache, self.ending)
        try:
            self.functions = executor.functions(self.ending)
            self._prepare(targets)
            self.cancel.check()
            self.cache = self.backend.cache(self.cache)
            plan = self._make_plan()
            self.emitter.emit(JobStarted, nodes=plan.size)
            self._leave_out()
            self._schedule(plan, executor)
        finally:
            executor.close()
            self.cache.flush()
            if self.cache.history is not None:
                self.cache.history.flush()

    def _leave_out(self) -> None:
        """Say which targets are not made, since something that they need is wrong in the document."""
        for target, error in self._broken.items():
            self.result.broken[target.partition(".")[0]] = error
        for error in {error.node: error for error in self._broken.values()}.values():
            self.result.failures.append(Failure(error.node, (), error))
            self.emitter.emit(NodeFailed, error.node, error=ErrorDetail.of(error))

    def _succeed(self) -> None:
        """Say that everything was made, or as much as could be."""
        result = self.result
        if result.failures:
            self.emitter.emit(JobFailed, error=ErrorDetail.of(result.failures[0].error))
            return
        self.emitter.emit(
            JobFinished, seconds=result.seconds, ran=result.ran, cached=result.cached, reused=result.reused
        )

    def _fail(self, raised: BaseException) -> NoReturn:
        """Say how the job ended, and raise what ended it."""
        if isinstance(raised, Cancelled) and self.emitter.failure is not None:
            raised = self.emitter.failure
        if isinstance(raised, (Cancelled, KeyboardInterrupt)):
            self.emitter.emit(JobCancelled)
            raise raised
        error = raised if isinstance(raised, NodeError) else NodeError.of("", "", raised)
        if self.emitter.on_event is not None:
            self.emitter.emit(JobFailed, error=ErrorDetail.of(error))
        if not isinstance(raised, Exception):
            raise raised
        # Its way through the scheduler tells nobody anything, and would hold on to what the run had in hand.
        raise RunFailed([error], self.result) from error.with_traceback(None)

    def _make_plan(self) -> Plan:
        try:
            self.plan = plan_again(
                self.known,
                self.prepared.workflow,
                self.catalogue,
                self.targets,
                str(self.out),
                self.roots,
                self.document.definitions,
                self.functions,
                functools.partial(recall, self.cache),
            )
            return self.plan
        except NodeError:
            raise
        except Exception as error:
            raise NodeError.of("", "", error) from error

    def _schedule(self, plan: Plan, executor: Executor) -> None:
        scheduler = Scheduler(
            plan,
            cache=self.cache,
            executor=executor,
            emitter=self.emitter,
            cancel=self.ending,
            stop=self.stop,
            make_context=self._context,
            on_output=self._on_output,
            on_failure=self._on_failure if self.keep_going else None,
            sizes=self.settings.lanes,
            devices=self.devices or executor.devices or shared_devices(self.settings.lanes.device),
            bounds=Bounds(self.settings.max_depth, self.settings.max_steps),
            debug=self.settings.debug,
        )
        try:
            scheduler.run()
        finally:
            self._ran |= scheduler.report.ran
            self._steered |= scheduler.report.steered
            order = {target: position for position, target in enumerate(self.targets)}
            self._artifacts.sort(key=lambda item: (order[item[1].node], item[0]))
            self.result.outputs[:] = [item for _, item in self._artifacts]

    def _on_failure(self, step: Step, error: NodeError) -> None:
        self.result.failures.append(Failure(step.shown, step.rank[1:], error))

    def _on_output(self, step: Step, outputs: Outputs) -> None:
        if step.scope.root:
            self.result.values[step.shown] = (step.type, outputs)
            if step.gathers and step.tier is None:
                return  # its items were told one by one
        for item in artifacts(step.shown, step.type, outputs):
            self._artifacts.append((step.rank, item))
            self.result.outputs.append(item)
            self.emitter.emit(OutputMade, step.shown, kind=item.kind, ref=item.ref)

    def _context(self, step: Step) -> Context:
        resumes = step.type.resumes if step.keeps else ()
        return Context(
            step.shown,
            out=self.out,
            roots=self.roots,
            cancel=self.stop,
            listener=self.emitter if self.emitter.on_event is not None else None,
            provenance=functools.partial(self._provenance, step),
            image_provenance=functools.partial(self._image_provenance, step),
            preview_interval=self.settings.preview_interval,
            trails=self.cache.trails if step.trusted else None,  # they are found by what values say of themselves
            on_reused=lambda node, steps, total: self._reused.append(steps),  # a list: from several threads
            key=step.key if step.keeps else None,
            kin=without(step.parts, resumes) if resumes else None,
            workspaces=self.cache.workspaces,
            on_use=step.use,
        )

    def _provenance(self, step: Step) -> dict[str, str]:
        if self.plan is None:
            return {}
        if step.items:
            return provenance(self.document, self.plan, step)
        if self._texts is None:
            self._texts = provenance(self.document, self.plan)
        return self._texts

    def _image_provenance(self, step: Step, number: int, count: int, inputs: Mapping[str, object]) -> dict[str, str]:
        return provenance(self.document, self.plan, step, OfBatch(number, count, inputs)) if self.plan else {}

    def _count(self, start: float) -> None:
        self.result.ran = len(self._ran)
        # What only steers is neither: it takes no time, and is not worth keeping.
        self.result.cached = max(0, (self.plan.size if self.plan else 0) - len(self._ran | self._steered))
        self.result.reused = sum(self._reused)
        self.result.seconds = time.perf_counter() - start
