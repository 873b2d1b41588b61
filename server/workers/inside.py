"""What runs inside a worker of the server: a job, or a question about a workflow.

Both are nodes of ours that the server calls in a worker as the engine calls any node there (`engine.isolation`). So the
ends of a process, limits of memory and time, cancels and what nodes print are seen to in one place. Packs are imported
here and never in the server's own process.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from weft.engine import Context, node
from weft.server.workers.board import Board
from weft.server.workers.home import Home
from weft.server.workers.running import Mark, Relay, Running, marking

if TYPE_CHECKING:
    from weft.engine import Cache, Catalogue, Result
    from weft.engine.declaring.following import CancelToken
    from weft.graphs.document import Workflow

EVENTS = "weft.events"
"""The kind of report in which a job's events travel: `{"events": [JSON texts]}`; of one of several also `"job"`."""
ENDED = "weft.ended"
"""The kind of report in which the ends of some of several jobs travel: `{"ended": {place: JSON of a summary}}`."""
ENDED_SECONDS = 0.005
"""For so long ends are gathered while further jobs run."""
PREVIEW = "weft.preview"
MOST_VALUE = 64 * 1024
"""Characters of a text that is told as a value; a longer one is saved by a node that writes files."""
MOST_GIVEN = 4096
"""Characters of JSON that a problem quotes of a workflow; of more the beginning is shown."""


@node("weft.server.job", cache="never")
def job(order: str, ctx: Context) -> str:
    """Run a job.

    Args:
        order: JSON of `{"home", "job", "document", "targets", "first_seq", "marker"}`.

    Returns:
        JSON of `{"state", "error", "seconds", "ran", "cached", "values", "events", "last", "took"}`; `values` are those
        of outputs that JSON can hold, by `node.output`; `events` are the last ones of the run, as JSON texts, which
        were not told before, `last` is the one that ends it, and `took` the seconds of all of it.
    """
    said = json.loads(order)
    home = Home.of(said["home"])
    _use(home)
    with marking(said["marker"]) as mark:
        return _carried_out(home, said, ctx.relay, mark, ctx.token)


@node("weft.server.jobs", cache="never")
def jobs(order: str, ctx: Context) -> str:
    """Run several jobs, one after the other. What one of them leaves of the process is put back before the next.

    Args:
        order: JSON of `{"home", "marker", "board", "jobs": [{"job", "document", "targets", "first_seq", "out"}]}`.
            Those that are withdrawn on the board, and those after a cancel, are not begun.

    Returns:
        JSON of a summary as `job` has it by place, of those that were begun and not told of before.
    """
    from weft.engine.isolation.handover import Handover

    said = json.loads(order)
    home = Home.of(said["home"])
    _use(home)
    before = Handover()
    ended: dict[str, str] = {}
    told = time.monotonic()
    with marking(said["marker"]) as mark, Board.open(said["board"], len(said["jobs"])) as board:
        for place, one in enumerate(said["jobs"]):
            if ctx.token is not None and ctx.token.cancelled:
                break
            if not board.begin(place):
                continue
            mark([])
            if place:
                before.restore()
            ended[str(place)] = _carried_out(
                replace(home, out=one["out"]), one, _naming(ctx.relay, one), mark, ctx.token
            )
            if place + 1 < len(said["jobs"]) and time.monotonic() - told > ENDED_SECONDS:
                ctx.relay(ENDED, {"ended": ended})
                ended, told = {}, time.monotonic()
    return json.dumps(ended)


def _naming(relay: Relay, said: Mapping[str, Any]) -> Relay:
    """A relay whose reports name the job."""
    return lambda kind, data, body: relay(kind, {**data, "job": said["job"]}, body)


def _carried_out(home: Home, said: Mapping[str, Any], relay: Relay, mark: Mark, token: CancelToken | None) -> str:
    """Run one job; its summary."""
    from weft.engine import Cancelled, RunFailed, Settings, WorkflowError, run
    from weft.engine.events import ErrorDetail
    from weft.graphs.document import Workflow

    began = time.monotonic()
    summary: dict[str, Any] = {"state": "done", "error": None, "seconds": None, "ran": None, "cached": 0, "values": {}}
    cache = _cache(home.cache)
    with Running(relay, mark, cache.flush) as events:
        try:
            result = run(
                Workflow.parse(json.loads(said["document"])),
                said["targets"] or None,
                cache=cache,
                catalogue=_catalogue(home.nodes, home.own_nodes_only),
                out=home.out,
                on_event=events.take,
                cancel=token,
                settings=Settings(preview_interval=home.preview_seconds),
                roots=None if home.roots is None else list(home.roots),
                job=said["job"],
                first_seq=said["first_seq"],
            )
        except WorkflowError as error:  # what was sound when it was queued
            first = error.problems[0]
            detail = ErrorDetail(
                node=first.node or "", type="", exception="WorkflowError", message=str(error), traceback=""
            )
            problems = [problem.model_dump(mode="json") for problem in error.problems]
            summary |= {"state": "failed", "error": detail.model_dump() | {"code": first.code, "problems": problems}}
        except Cancelled:
            summary["state"] = "cancelled"
        except RunFailed as error:
            summary |= {"state": "failed", "error": ErrorDetail.of(error.error).model_dump()}
        else:
            summary |= {"seconds": result.seconds, "ran": result.ran, "cached": result.cached}
            summary["values"] = _values(result)
    summary |= {"events": events.rest, "last": events.last, "took": time.monotonic() - began}
    return json.dumps(summary)


@node("weft.server.ask", cache="never")
def ask(question: str, home: str, about: str, ctx: Context) -> str:
    """Answer a question about a workflow or about the nodes there are.

    Args:
        question: one of `_ANSWERS`.
        home: `Home` as JSON.
        about: what is asked about, as JSON: `{"workflow", "set", "targets"}`, or null.

    Returns:
        The answer as JSON.
    """
    place = Home.of(json.loads(home))
    _use(place)
    catalogue = _catalogue(place.nodes, place.own_nodes_only)
    answer = _ANSWERS[question](place, catalogue, json.loads(about))
    if question in ("prepare", "plan", "why", "python"):
        answer["problems"] = _few(answer["problems"])
    return json.dumps(answer)


def _few(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Problems as they are told: those of a document of 8 MiB would take many times that, and one may quote it all."""
    from weft.graphs.limits import LIMITS
    from weft.graphs.problems import Problem, shown

    for problem in problems:
        if len(json.dumps(problem.get("given"))) > MOST_GIVEN:
            problem["given"] = shown(problem["given"])
    if (rest := len(problems) - LIMITS.max_problems) <= 0:
        return problems
    first = sorted(problems, key=lambda problem: problem.get("severity", "error") != "error")[:-rest]
    last = Problem(code="too_large", message=f"There are {rest:,} more problems; the first {len(first):,} are told.")
    return [*first, last.model_dump(mode="json")]


def _values(result: Result) -> dict[str, Any]:
    """The numbers, texts and truth values that a run made, short ones."""
    from weft.engine.running.result import artifacts

    found: dict[str, Any] = {}
    for node_id, (node_type, outputs) in result.values.items():
        for artifact in artifacts(node_id, node_type, outputs):
            item = artifact.value
            if isinstance(item, float) and not math.isfinite(item):  # JSON has none of these
                item = str(item)
            if artifact.path is None and item is not None and len(str(item)) <= MOST_VALUE:
                found[artifact.ref] = item
    return found


def _nodes(home: Home, catalogue: Catalogue, about: Any) -> Any:
    from weft.engine.catalogue.describe import describe_node

    return {
        "nodes": [describe_node(node_type) for node_type in catalogue],
        "left_out": [str(failure) for failure in catalogue.failures],
    }


def _schema(home: Home, catalogue: Catalogue, about: Any) -> Any:
    from weft.engine.catalogue.schema import workflow_schema

    return workflow_schema(catalogue)


def _types(home: Home, catalogue: Catalogue, about: Any) -> Any:
    from weft.engine.catalogue.type_table import type_table

    return type_table(catalogue)


def _prepare(home: Home, catalogue: Catalogue, about: Any) -> Any:
    """A workflow as a job will run it: with everything set; all its problems, and which models it needs."""
    from weft.engine import check

    workflow, problems = _read(about, catalogue)
    if workflow is None:
        return {"problems": problems}
    roots = None if home.roots is None else list(home.roots)
    found = check(workflow, catalogue, targets=about.get("targets") or None, roots=roots)
    problems += [problem.model_dump(mode="json") for problem in found]
    return {
        "problems": problems,
        "document": json.dumps(workflow.to_dict()),
        "title": workflow.title,
        "model": _models(workflow, catalogue),
    }


def _plan(home: Home, catalogue: Catalogue, about: Any) -> Any:
    from weft.engine import NodeError, WorkflowError
    from weft.graphs.problems import Problem
    from weft.server.workers.foretelling import plan_of

    workflow, problems = _read(about, catalogue)
    if workflow is None:
        return {"problems": problems, "nodes": {}, "seconds": None}
    try:
        said = plan_of(workflow, about.get("targets") or None, home, catalogue, _cache(home.cache))
    except WorkflowError as error:
        return {"problems": [item.model_dump(mode="json") for item in error.problems], "nodes": {}, "seconds": None}
    except NodeError as error:
        problem = Problem(code="bad_value", node=error.node, message=error.message)
        return {"problems": [problem.model_dump(mode="json")], "nodes": {}, "seconds": None}
    return {"problems": [], **said}


def _why(home: Home, catalogue: Catalogue, about: Any) -> Any:
    from weft.engine import WorkflowError
    from weft.server.workers.foretelling import why_of

    workflow, problems = _read(about, catalogue)
    if workflow is None:
        return {"problems": problems}
    try:
        return {"problems": [], "why": why_of(workflow, about["node"], home, catalogue, _cache(home.cache))}
    except WorkflowError as error:
        return {"problems": [item.model_dump(mode="json") for item in error.problems]}


def _python(home: Home, catalogue: Catalogue, about: Any) -> Any:
    """A document as Python, with what a check says of it."""
    from weft.engine import WorkflowError, check
    from weft.engine.catalogue.calls import python_calls
    from weft.graphs.pythontext import python_source

    workflow, problems = _read(about, catalogue)
    if workflow is None:
        return {"problems": problems}
    try:
        source = python_source(workflow, python_calls(catalogue))
        return {"problems": [item.model_dump(mode="json") for item in check(workflow, catalogue)], "python": source}
    except WorkflowError as error:
        return {"problems": [item.model_dump(mode="json") for item in error.problems]}


def _devices(home: Home, catalogue: Catalogue, about: Any) -> Any:
    """The devices that nodes use, without importing what they would need for it."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {"devices": [{"name": "cpu", "kind": "cpu"}]}
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append({"name": torch.cuda.get_device_name(index), "kind": "cuda", "free": free, "total": total})
    return {"devices": found}


def _cache_sizes(home: Home, catalogue: Catalogue, about: Any) -> Any:
    disk = _cache(home.cache).disk
    results, size = (0, 0) if disk is None else disk.usage()
    return {"results": results, "bytes": size, "max_bytes": None if disk is None else disk.max_bytes}


def _model_list(home: Home, catalogue: Catalogue, about: Any) -> Any:
    from weft.engine.declaring.model_folders import model_folders

    names = ("name", "kind", "family", "bytes", "bundled", "fault")
    return [{name: getattr(entry, name) for name in names} for entry in catalogue.models(model_folders())]


_ANSWERS: Mapping[str, Callable[[Home, Any, Any], Any]] = {
    "nodes": _nodes,
    "schema": _schema,
    "types": _types,
    "cache": _cache_sizes,
    "devices": _devices,
    "models": _model_list,
    "prepare": _prepare,
    "plan": _plan,
    "why": _why,
    "python": _python,
}


def _read(about: Mapping[str, Any], catalogue: Catalogue) -> tuple[Workflow | None, list[dict[str, Any]]]:
    """A workflow with its settings, or what is wrong with these."""
    from weft.engine import WorkflowError, with_settings
    from weft.graphs.document import Workflow

    try:
        return with_settings(Workflow.parse(about["workflow"]), about.get("set") or {}, catalogue), []
    except WorkflowError as error:
        return None, [problem.model_dump(mode="json") for problem in error.problems]


def _models(workflow: Workflow, catalogue: Catalogue) -> str:
    """What tells apart jobs that need other models: the inputs for which the editor has a picker of models."""
    found = set()
    for spec in workflow.nodes.values():
        node_type = catalogue.get(spec.type)
        for name, item in spec.inputs.items() if node_type is not None else ():
            port = node_type.inputs.get(name) if node_type is not None else None
            if isinstance(item, str) and port is not None and port.widget is not None and port.widget.kind == "model":
                found.add(f"{spec.type}:{item}")
    return " ".join(sorted(found))


def _use(home: Home) -> None:
    from weft.engine.declaring.file_store import set_file_store
    from weft.engine.declaring.model_folders import set_model_folders

    set_model_folders(home.models)
    set_file_store(home.files)


@functools.cache
def _cache(folder: str | None) -> Cache:
    """One for all jobs of this process: so models stay loaded."""
    from weft.engine import Cache

    return Cache(folder)


@functools.cache
def _catalogue(nodes: tuple[str, ...], own_nodes_only: bool) -> Catalogue:
    from weft.engine import Catalogue

    return Catalogue.load(nodes, packs=not own_nodes_only)


__all__ = ["ENDED", "EVENTS", "PREVIEW", "ask", "job", "jobs"]
