"""`run`: a workflow becomes values and files."""

from __future__ import annotations

import contextvars
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.engine.cache import Cache
from weft.engine.catalogue.catalogue import Catalogue, installed
from weft.engine.checking.prepare import Prepared, prepare
from weft.engine.checking.source import Source, read_source
from weft.engine.declaring.context import OUT, CancelToken, Context
from weft.engine.errors import Cancelled, NodeError
from weft.engine.events import (
    Emitter,
    ErrorDetail,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobStarted,
    NodeResumed,
    OnEvent,
    OutputMade,
    Tier,
)
from weft.engine.planning.parts import without
from weft.engine.planning.plan import Plan, make_plan
from weft.engine.planning.provenance import provenance
from weft.engine.planning.steps import Step
from weft.engine.planning.unfold import Bounds
from weft.engine.running.executor import Executor
from weft.engine.running.in_process import InProcess
from weft.engine.running.lanes import LaneSizes
from weft.engine.running.result import Artifact, Result, RunFailed, artifacts
from weft.engine.running.scheduler import Scheduler, StaleHit
from weft.engine.values import Outputs
from weft.graphs.builder import current_graph
from weft.graphs.document import Workflow
from weft.graphs.problems import WorkflowError

if TYPE_CHECKING:
    from weft.engine.isolation import Workers

__all__ = ["Artifact", "Result", "Settings", "run"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run behaves.

    Attributes:
        preview_interval: seconds between two previews of one node at least; None for no previews, which saves a node
            the making of pictures that nobody shows.
        lanes: how many nodes of each kind run at once.
        max_depth: how deep graphs may return graphs.
        max_steps: how many steps may come from mapped lists and from graphs that nodes return, all together.
    """

    preview_interval: float | None = 0.25
    lanes: LaneSizes = field(default_factory=LaneSizes)
    max_depth: int = 32
    max_steps: int = 100_000


def run(
    source: Source,
    targets: Sequence[Any] | None = None,
    *,
    cache: Cache | None = None,
    catalogue: Catalogue | None = None,
    out: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    cancel: CancelToken | None = None,
    settings: Settings | None = None,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    job: str | None = None,
    isolate: bool | Workers = False,
) -> Result:
    """Check a workflow, plan it, and run what is not in the cache.

    Args:
        source: a path, a document as JSON data, a Workflow or a Graph.
        targets: what to make: handles, `"node"` or `"node.output"`; by default every node that is an output.
        cache: where results are kept; by default this user's (`Cache.default()`).
        catalogue: the nodes there are; by default those that are installed.
        out: folder for files that are results; by default `out` in the working directory.
        on_event: called with each event, from the threads that nodes run on.
        cancel: stops the run when its `cancel()` is called.
        settings: how it behaves.
        roots: folders that may be read; None allows every path.
        job: the id that events carry; by default a new one.
        isolate: run nodes in a process of their own, so that one which crashes, hangs or exits fails this run and no
            more; True for the workers of this process, or some `engine.isolation.Workers`.

    Raises:
        WorkflowError: the workflow has errors; nothing ran.
        RunFailed: a node failed. What was finished is in the cache.
        Cancelled: `cancel` was called. What was finished is in the cache.
    """
    if current_graph() is not None:
        # Called inside `with Graph()`: nodes that call other nodes must compute, not record.
        return contextvars.Context().run(
            lambda: run(
                source,
                targets,
                cache=cache,
                catalogue=catalogue,
                out=out,
                on_event=on_event,
                cancel=cancel,
                settings=settings,
                roots=roots,
                job=job,
                isolate=isolate,
            )
        )
    catalogue = catalogue or installed()
    names = None if targets is None else [_target_name(target) for target in targets]
    document = read_source(source)
    prepared = prepare(document, catalogue, targets=names, roots=roots)
    if any(problem.severity == "error" for problem in prepared.problems):
        raise WorkflowError(prepared.problems)
    catalogue = prepared.catalogue
    cache = Cache.default() if cache is None else cache
    executor: Executor
    if isolate:
        from weft.engine.isolation import Workers, default_workers

        workers = isolate if isinstance(isolate, Workers) else default_workers()
        cache, executor = workers.cache(cache), workers.lease()
    else:
        executor = InProcess()
    return _Run(
        prepared,
        document,
        cache=cache,
        catalogue=catalogue,
        out=Path(OUT if out is None else out).absolute(),
        emitter=Emitter(job or uuid.uuid4().hex, on_event),
        cancel=cancel or CancelToken(),
        settings=settings or Settings(),
        roots=roots,
    ).run(executor)


def _target_name(target: Any) -> str:
    return target if isinstance(target, str) else str(target.link)


class _Run:
    """One job, from plan to result."""

    def __init__(
        self,
        prepared: Prepared,
        document: Workflow,
        *,
        cache: Cache,
        catalogue: Catalogue,
        out: Path,
        emitter: Emitter,
        cancel: CancelToken,
        settings: Settings,
        roots: Sequence[str | os.PathLike[str]] | None,
    ) -> None:
        self.workflow = prepared.workflow
        self.document = document
        self.targets = prepared.target_nodes(catalogue)
        self.cache = cache
        self.catalogue = catalogue
        self.out = out
        self.emitter = emitter
        self.cancel = cancel
        self.settings = settings
        self.roots = None if roots is None else [Path(root).absolute() for root in roots]
        self.result = Result(emitter.job, aliases=prepared.aliases)
        self.broken: set[bytes] = set()
        """Keys that a tier said it has and then could not give."""
        self._texts: dict[str, str] | None = None
        self._reused: list[int] = []
        self._steered: set[str] = set()
        self._artifacts: list[tuple[tuple[int, ...], Artifact]] = []
        self.plan: Plan | None = None
        self.stop = CancelToken()

    def run(self, executor: Executor) -> Result:
        """Carry the job to its end, whatever that is, and say so."""
        start = time.perf_counter()
        ran: set[str] = set()
        try:
            self.cancel.check()
            plan = self._make_plan()
            self.emitter.emit(JobStarted, nodes=plan.size)
            while not self._attempt(plan, executor, ran):
                plan = self._make_plan()
        except NodeError as error:
            if self.emitter.on_event is not None:
                self.emitter.emit(JobFailed, error=ErrorDetail.of(error))
            self._count(start, ran)
            # Its way through the scheduler tells nobody anything, and would hold on to what the run had in hand.
            raise RunFailed([error], self.result) from error.with_traceback(None)
        except (Cancelled, KeyboardInterrupt):
            self.emitter.emit(JobCancelled)
            raise
        finally:
            executor.close()
            if self.cache.history is not None:
                self.cache.history.flush()
        self._count(start, ran)
        result = self.result
        self.emitter.emit(
            JobFinished, seconds=result.seconds, ran=result.ran, cached=result.cached, reused=result.reused
        )
        return result

    def _make_plan(self) -> Plan:
        try:
            self.plan = make_plan(
                self.workflow,
                self.catalogue,
                self.targets,
                str(self.out),
                self.roots,
                definitions=self.document.definitions,
            )
            return self.plan
        except NodeError:
            raise
        except Exception as error:
            raise NodeError.of("", "", error) from error

    def _attempt(self, plan: Plan, executor: Executor, ran: set[str]) -> bool:
        """Run the plan with the hits there are now; False when one of them turned out to be none."""
        self.stop = CancelToken()
        self.result.values.clear()
        self.result.outputs.clear()
        self._artifacts.clear()
        scheduler = Scheduler(
            plan,
            cache=self.cache,
            executor=executor,
            emitter=self.emitter,
            cancel=self.cancel,
            find=self._find,
            stop=self.stop,
            make_context=self._context,
            on_output=self._on_output,
            sizes=self.settings.lanes,
            bounds=Bounds(self.settings.max_depth, self.settings.max_steps),
        )
        try:
            scheduler.run()
        except StaleHit as stale:
            self.broken.add(stale.key)
            return False
        finally:
            ran |= scheduler.report.ran
            self._steered |= scheduler.report.steered
            order = {target: position for position, target in enumerate(self.targets)}
            self._artifacts.sort(key=lambda item: (order[item[1].node], item[0]))
            self.result.outputs[:] = [item for _, item in self._artifacts]
        return True

    def _find(self, key: bytes) -> Tier | None:
        return None if key in self.broken else self.cache.find(key)

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
            provenance=self._provenance,
            preview_interval=self.settings.preview_interval,
            trails=self.cache.trails,
            on_reused=self._on_reused,
            key=step.key if step.keeps else None,
            kin=without(step.parts, resumes) if resumes else None,
            workspaces=self.cache.workspaces,
        )

    def _on_reused(self, node: str, steps: int, total: int) -> None:
        # A list: nodes may say so from several threads.
        self._reused.append(steps)
        self.emitter.emit(NodeResumed, node, steps=steps, total=total)

    def _provenance(self) -> dict[str, str]:
        if self._texts is None and self.plan is not None:
            self._texts = provenance(self.document, self.plan)
        return self._texts or {}

    def _count(self, start: float, ran: set[str]) -> None:
        self.result.ran = len(ran)
        # What only steers is neither: it takes no time, and is not worth keeping.
        self.result.cached = max(0, (self.plan.size if self.plan else 0) - len(ran | self._steered))
        self.result.reused = sum(self._reused)
        self.result.seconds = time.perf_counter() - start
