"""What a run did, node by node: to a file of events, to a table of where time went, to a picture."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine.events import Event, OnEvent, to_json
from weft.server.cli.report import say

if TYPE_CHECKING:
    from weft.graphs.document import Workflow
    from weft.graphs.draw import Mark

ROWS = 25
"""Of the table."""


@dataclass(slots=True)
class Fate:
    """A node in a run: how often it ran and how long, how much of that it imported modules, where its result was,
    whether it failed, was skipped, or was called again after a failure."""

    runs: int = 0
    seconds: float = 0.0
    imports: float = 0.0
    tier: str = ""
    failed: str = ""
    open: int = 0
    failures: int = 0
    skipped: int = 0
    retries: int = 0

    @property
    def note(self) -> str:
        """What there is to say beside its time."""
        notes = [f"{self.runs} times"] if self.runs > 1 else []
        if self.failed:
            notes.append("failed" if self.failures < 2 else f"failed {self.failures} times")
        if self.skipped:
            notes.append("skipped" if self.skipped < 2 else f"skipped {self.skipped} times")
        if self.retries:
            notes.append("called again" if self.retries < 2 else f"called again {self.retries} times")
        return ", ".join(notes)


@dataclass(slots=True)
class Record:
    """Fates by node id, in the order of their first event, how the run ended, and what ran, where the file says it."""

    fates: dict[str, Fate] = field(default_factory=dict)
    end: str = "was not finished"
    seconds: float | None = None
    workflow: object = None

    def take(self, event: dict[str, object]) -> None:
        """Take in one event, as JSON data."""
        kind, node = event.get("event"), event.get("node")
        if isinstance(node, str):
            fate = self.fates.setdefault(node, Fate())
            if kind == "node_started":
                fate.open += 1
            elif kind == "node_finished":
                fate.open, fate.runs = max(fate.open - 1, 0), fate.runs + 1
                fate.seconds += _number(event.get("seconds"))
                fate.imports += _number(event.get("imports"))
            elif kind == "node_cached":
                fate.tier = str(event.get("tier"))
            elif kind == "node_failed":
                error = event.get("error")
                fate.open, fate.failures = 0, fate.failures + 1
                fate.failed = str(error.get("message")) if isinstance(error, dict) else "failed"
            elif kind == "node_skipped":
                fate.skipped += 1
            elif kind == "node_retried":
                fate.retries += 1
        elif kind == "job_started":
            self.workflow = event.get("workflow")
        elif kind == "job_finished":
            self.seconds = _number(event.get("seconds"))
            reused = f", {event['reused']} steps reused" if event.get("reused") else ""
            self.end = f"took {self.seconds:.2f} s: {event.get('ran')} ran, {event.get('cached')} cached{reused}"
        elif kind in ("job_failed", "job_cancelled"):
            self.end = "failed" if kind == "job_failed" else "was cancelled"

    @classmethod
    def load(cls, path: Path) -> Record:
        """The record in a file that `weft run --events` wrote.

        Raises:
            ValueError: a line is no event.
            OSError: the file cannot be read.
        """
        record = cls()
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                event = json.loads(line) if line.strip() else {}
                if not isinstance(event, dict):
                    raise ValueError(f"{path}, line {number}: not an event")
                record.take(event)
        return record

    def ran(self, workflow: Workflow) -> Workflow:
        """The workflow with the values that ran; as it is given where the file of events does not hold them.

        Raises:
            ValueError: the events are of a workflow that has other nodes.
        """
        from weft.graphs.document import Workflow as Document
        from weft.graphs.problems import WorkflowError

        ours = {id: spec.type for id, spec in workflow.nodes.items()}
        if not isinstance(self.workflow, dict):
            strangers = {id: "" for fated in self.fates if (id := fated.partition("/")[0]) not in ours}
            if strangers:
                raise ValueError(f"they are of another workflow: this one has no node {_listed(strangers)}")
            return workflow
        try:
            recorded = Document.parse(self.workflow, workflow.limits)
        except WorkflowError as error:
            raise ValueError(f"the workflow in them cannot be read: {error}") from error
        theirs = {id: spec.type for id, spec in recorded.nodes.items()}
        parts = []
        if strangers := {id: type for id, type in theirs.items() if ours.get(id) != type}:
            parts.append(f"the run had {_listed(strangers)}, which this one lacks")
        if strangers := {id: type for id, type in ours.items() if theirs.get(id) != type}:
            parts.append(f"this one has {_listed(strangers)}, which the run lacked")
        if parts:
            raise ValueError(f"they are of another workflow: {'; '.join(parts)}")
        return recorded

    def marks(self, workflow: Workflow) -> dict[str, Mark]:
        """For a picture: what happened inside of a node is told at it."""
        from weft.graphs.draw import Mark

        merged: dict[str, Fate] = {}
        for id, fate in self.fates.items():
            whole = merged.setdefault(id.partition("/")[0], Fate())
            whole.runs, whole.seconds = whole.runs + fate.runs, whole.seconds + fate.seconds
            whole.open, whole.failed = whole.open + fate.open, whole.failed or fate.failed
            whole.tier, whole.skipped = whole.tier or fate.tier, whole.skipped + fate.skipped
        marks = {}
        for id, fate in merged.items():
            if id in workflow.nodes:
                if fate.failed:
                    marks[id] = Mark("failed", fate.seconds or None)
                elif fate.open:
                    marks[id] = Mark("unfinished")
                elif fate.runs:
                    marks[id] = Mark("ran", fate.seconds)
                elif fate.skipped:
                    marks[id] = Mark("skipped")
                elif fate.tier:
                    marks[id] = Mark("cached")
        return marks


@contextlib.contextmanager
def recording(
    show: OnEvent | None, events: Path | None, profile: bool, workflow: Workflow | None = None
) -> Iterator[OnEvent | None]:
    """A listener that also writes events to a file, and prints where time went when the run has ended.

    Args:
        workflow: what runs, with all values that were set; in the file it stands in the event `job_started`.
    """
    if events is None and not profile:
        yield show
        return
    record = Record()
    with contextlib.ExitStack() as stack:
        # Line by line: when the process dies, what was written tells how far it came.
        file = stack.enter_context(open(events, "w", encoding="utf-8", buffering=1)) if events is not None else None

        def listen(event: Event) -> None:
            data = dict(to_json(event))
            record.take(data)
            if file is not None:
                if workflow is not None and data["event"] == "job_started":
                    data["workflow"] = workflow.to_dict()
                file.write(json.dumps(data, ensure_ascii=False) + "\n")
            if show is not None:
                show(event)

        try:
            yield listen
        finally:
            if profile:
                print_profile(record)


def print_profile(record: Record) -> None:
    """Where time went, longest first, on stderr."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from weft.graphs.drawing.marks import duration

    # Who needs a library first imports it for all: that time is not the node's.
    own = ((max(fate.seconds - fate.imports, 0.0), id, fate) for id, fate in record.fates.items())
    ran = sorted((entry for entry in own if entry[2].runs or entry[2].note), key=lambda entry: entry[:2], reverse=True)
    imports = sum(fate.imports for fate in record.fates.values())
    total = record.seconds or sum(seconds for seconds, _, _ in ran) + imports
    table = Table("node", "", box=None, pad_edge=False)
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    for seconds, id, fate in ran[:ROWS]:
        part = seconds / total if total else 0.0
        bar = "\u2588" * round(20 * min(part, 1.0))
        table.add_row(Text(id), Text(fate.note), duration(seconds), f"{part:.0%}", Text(bar))
    if len(ran) > ROWS:
        rest = sum(seconds for seconds, _, _ in ran[ROWS:])
        table.add_row(f"{len(ran) - ROWS} more", "", duration(rest), f"{rest / total if total else 0.0:.0%}")
    if imports:
        table.add_row("imports", "", duration(imports), f"{imports / total:.0%}")
    idle = total - sum(seconds for seconds, _, _ in ran) - imports
    if idle > 0:
        table.add_row("between nodes", "", duration(idle), f"{idle / total:.0%}")
    say(f"the run {record.end}")
    Console(stderr=True, highlight=False).print(table)


def _listed(nodes: dict[str, str]) -> str:
    """A few nodes with their types."""
    names = [f"{id} ({type})" if type else id for id, type in list(nodes.items())[:3]]
    return ", ".join(names) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
