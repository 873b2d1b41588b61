"""`run`: a workflow becomes values and files."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weft.engine.cache import Cache
from weft.engine.catalogue.catalogue import Catalogue, installed
from weft.engine.checking.prepare import prepare
from weft.engine.checking.source import Source, read_source
from weft.engine.declaring.context import OUT
from weft.engine.declaring.following import CancelToken
from weft.engine.events import OnEvent
from weft.engine.importing import INSIDE, watch_imports
from weft.engine.progress.audience import audience
from weft.engine.running.backend import Backend, ThisProcess
from weft.engine.running.emitter import Emitter
from weft.engine.running.job import Job, Settings
from weft.engine.running.result import Artifact, Result
from weft.engine.surroundings import waiting
from weft.graphs.builder import current_graph
from weft.graphs.problems import Problem, WorkflowError

__all__ = ["Artifact", "Result", "Settings", "check", "run"]


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
    first_seq: int = 0,
    on: Backend | None = None,
    isolate: bool | Backend = False,
    keep_going: bool = False,
    progress: bool | None = None,
) -> Result:
    """Check a workflow, plan it, and run what is not in the cache.

    Args:
        source: a path, a document as JSON data, a Workflow or a Graph.
        targets: what to make: handles, `"node"` or `"node.output"`; by default every node that is an output.
        cache: where results are kept; by default this user's (`Cache.default()`).
        catalogue: the nodes there are; by default those that are installed.
        out: folder for files that are results; by default `out` in the working directory.
        on_event: called with each event, in order and one at a time, from this thread or one that the run keeps for
            it; `run` returns after the last one. Where it is slow, nodes on threads and in workers do not wait for it,
            and of their progress, previews and reports only the newest reach it.
        cancel: stops the run when its `cancel()` is called.
        settings: how it behaves.
        roots: folders that may be read; None allows every path.
        job: the id that events carry; by default a new one.
        first_seq: the number of the first event, for who has said something about the job before.
        on: where nodes are called; by default here. With some `engine.Workers` in processes of their own, so that one
            which crashes, hangs or exits fails this run and no more.
        isolate: the same: True for the workers that all runs of this process share, or a backend.
        keep_going: after a failure, run what does not depend on it: other targets, and other items of a mapped part.
            Nor do nodes that are wrong in the document keep targets from being made that do not need them. The result
            then has `failures`, and the last event is `job_failed`.
        progress: show how far the run is, if it takes more than half a second: in a notebook below the cell, on a
            terminal on stderr. None does so where a person may look (not in a test, not under CI, and not where stderr
            is no terminal), unless there is an `on_event` or a node called `run`. True does so in any case, without
            terminal and notebook as a line for each slow node.

    Raises:
        WorkflowError: the workflow has errors; nothing ran.
        RunFailed: a node failed and the run does not keep going, or the engine failed. What was finished is in the
            cache.
        Cancelled: `cancel` was called. What was finished is in the cache.
    """

    unasked = progress is None and (on_event is not None or INSIDE.get() is not None)
    place = None if unasked else audience(progress)
    settings = settings or Settings()
    if place is not None and on_event is None:
        settings = dataclasses.replace(settings, preview_interval=None)  # bars show no pictures
    work = Job(
        cache=Cache.default() if cache is None else cache,
        catalogue=catalogue or installed(),
        out=Path(OUT if out is None else out).absolute(),
        cancel=cancel or CancelToken(),
        settings=settings,
        roots=roots,
        backend=on or _backend(isolate),
        keep_going=keep_going,
    )
    names = None if targets is None else [_target_name(target) for target in targets]
    with contextlib.ExitStack() as stack:
        if place is not None:
            from weft.engine.progress.watching import watching

            on_event = stack.enter_context(watching(place, on_event))
        if on_event is not None:
            watch_imports()
        work.emitter = Emitter(work.result.job if job is None else job, on_event, first_seq, work.ending.cancel)
        work.result.job = work.emitter.job
        stack.enter_context(waiting())  # called by a node: its nodes draw in turns of their own
        # Called inside `with Graph()`: nodes that call other nodes must compute, not record.
        if current_graph() is not None:
            return contextvars.Context().run(work.run, source, names)
        return work.run(source, names)


def check(
    workflow: Any,
    catalogue: Catalogue | None = None,
    *,
    targets: Sequence[str] | None = None,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    on: Backend | None = None,
    cancel: CancelToken | None = None,
) -> list[Problem]:
    """Every problem of a workflow at once; when none is an error, it will start.

    Args:
        workflow: a Workflow, a Graph, a path, or the document as JSON data.
        catalogue: the nodes there are; by default those that are installed.
        targets: what would be run, as `node` or `node.output`; by default the nodes that are outputs.
        roots: folders that may be read; None allows every path.
        on: where checks and migrations of packs are called; by default here. In some `engine.Workers`, one that
            crashes or hangs is a problem of its node.
        cancel: ends the waiting for these.
    """
    try:
        workflow = read_source(workflow)
    except WorkflowError as error:
        return error.problems
    nodes = catalogue or installed()
    if on is None:
        return prepare(workflow, nodes, targets=targets, roots=roots).problems
    executor = on.lease(None, cancel)
    try:
        functions = executor.functions(cancel or CancelToken())
        return prepare(workflow, nodes, targets=targets, roots=roots, functions=functions).problems
    finally:
        executor.close()


def _backend(isolate: bool | Backend) -> Backend:
    if isolate is False:
        return ThisProcess()
    if isolate is not True:
        return isolate
    from weft.engine.isolation import default_workers

    return default_workers()


def _target_name(target: Any) -> str:
    return target if isinstance(target, str) else str(target.link)
