"""`why`: what made a node run again, going by what its results were made of before."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from weft.engine.cache import Cache
from weft.engine.cache.history import History, Record
from weft.engine.cache.known_contents import recall
from weft.engine.catalogue.catalogue import Catalogue, installed
from weft.engine.checking.prepare import prepare
from weft.engine.checking.source import Source, read_source
from weft.engine.declaring.context import OUT
from weft.engine.planning.parts import Change, linked_key, read_parts
from weft.engine.planning.plan import Plan, make_plan
from weft.engine.planning.steps import Step
from weft.engine.running.why import nearest
from weft.graphs.problems import Problem, WorkflowError, near, shown

VISITED = 64
"""Nodes whose changes are followed upwards."""

State = Literal["cached", "changed", "gone", "new", "always", "unknown"]
_WORDS: Mapping[State, str] = {
    "cached": "is cached, so it does not run.",
    "changed": "has to run:",
    "gone": "has to run: its result was evicted or cleared.",
    "new": "has to run: as far as is known it never ran before.",
    "always": "runs each time:",
    "unknown": "may have to run: nothing is kept between runs.",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that changed. node: where. change: what. through: the nodes on the way down from there, the asked-for
    one last."""

    node: str
    change: Change
    through: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"node": self.node, **self.change.to_dict(), "through": list(self.through)}

    def __str__(self) -> str:
        way = f" (through {', '.join(self.through)})" if self.through else ""
        return f"{self.node}: {self.change}{way}"


@dataclass(frozen=True, slots=True)
class Why:
    """What is known of a node.

    Attributes:
        node: its id.
        state: "cached": its result is there, so it does not run. "changed": it has to run, and its nearest earlier
            result is of something else. "gone": it ran as it is now, and its result was evicted, or its files are no
            longer in place. "new": it never ran here, as far as is known. "always": it has no key, or needs something
            that has none. "unknown": nothing is kept.
        causes: in what it differs from the nearest earlier result, each followed up to where it comes from; for what is
            cached, in what it differed when it ran.
        files: of what is gone, the files that are not in place.
        compared: the node of a document that the nearest earlier result was of.
    """

    node: str
    state: State
    causes: list[Cause] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    compared: str | None = None

    @property
    def text(self) -> str:
        """The answer in words: a line, and one for each cause."""
        first = _WORDS[self.state]
        if self.files:
            first = "has to run: its result stands for files that are gone or changed: " + ", ".join(self.files)
        lines = [f"{self.node} {first}"]
        if self.state == "cached" and self.causes:
            lines.append("When it ran, this was other than before:")
        lines += [f"  {cause}" for cause in self.causes]
        if self.compared not in (None, self.node):
            lines.append(f"This compares it with a result of the node {self.compared}.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "node": self.node,
            "state": self.state,
            "causes": [cause.to_dict() for cause in self.causes],
            "files": self.files,
            "compared": self.compared,
        }


def why(
    source: Source,
    node: str,
    *,
    cache: Cache | None = None,
    catalogue: Catalogue | None = None,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Why:
    """Say why a node of a workflow has to run again, or had to when it ran. Nothing runs.

    Args:
        source: a path, a document as JSON data, a Workflow or a Graph.
        node: its id; of a node inside a definition `use/node`.
        cache: whose history is asked; by default this user's.
        catalogue: the nodes there are; by default those that are installed.
        roots: folders that may be read; None allows every path.
        out: folder for files that are results.

    Raises:
        WorkflowError: the workflow has errors, or no such node.
    """
    catalogue = catalogue or installed()
    cache = Cache.default() if cache is None else cache
    document = read_source(source)
    prepared = prepare(document, catalogue, targets=None, roots=roots)
    errors = [problem for problem in prepared.problems if problem.severity == "error" and problem.code != "no_output"]
    if errors:
        raise WorkflowError(prepared.problems)
    if node not in prepared.workflow.nodes:
        hint = near(node, prepared.workflow.nodes)
        message = f"There is no node {shown(node)}" + (", or it is left out." if node in document.nodes else ".")
        raise WorkflowError([Problem(code="unknown_link", message=message, given=node, suggestion=hint)])
    places = None if roots is None else [Path(root).absolute() for root in roots]
    folder = str(Path(OUT if out is None else out).absolute())
    known, definitions = functools.partial(recall, cache), document.definitions
    workflow, nodes = prepared.workflow, prepared.catalogue
    plan = make_plan(workflow, nodes, [node], folder, places, definitions=definitions, recall=known)
    return _Search(plan, cache).why(plan.steps[plan.numbers[node]])


class _Search:
    def __init__(self, plan: Plan, cache: Cache) -> None:
        self._plan = plan
        self._cache = cache
        self._fresh: set[str] = set()

    def why(self, step: Step) -> Why:
        """See `why`."""
        history = self._cache.history
        if history is None:
            return Why(step.id, "unknown")
        if not step.keeps:
            causes = [Cause(id, Change("always")) for id in self._without_key(step)]
            return Why(step.id, "always", causes)
        tier = self._cache.peek(step.key) if step.stored else None
        records = self._records(history, step)
        here = any(record.key == step.key for record in records)
        after = read_parts(step.parts)
        own = [record for record in records if record.node == step.shown and record.key != step.key]
        best = nearest(step, after, own or records) if after is not None else None
        causes, compared = [], None
        if best is not None:
            record, before, found = best
            compared = record.node
            for change in found:
                causes += self._follow(history, step, change, linked_key(before, change))
        if tier is not None:
            return Why(step.id, "cached", causes, compared=compared)
        if here:
            return Why(step.id, "gone", files=self._missing_files(step))
        return Why(step.id, "changed" if best is not None else "new", causes, compared=compared)

    def _records(self, history: History, step: Step) -> list[Record]:
        if step.type.name not in self._fresh:
            self._fresh.add(step.type.name)
            history.refresh(step.type.name)
        return history.of_type(step.type.name)

    def _without_key(self, step: Step) -> list[str]:
        """The nodes that make this one run each time."""
        found, stack, seen = [], [step], {step.number}
        while stack:
            item = stack.pop()
            if not item.parts:
                found.append(item.id)
            for number in (*item.sources, *item.lazy):
                source = self._plan.steps[number]
                if not source.keeps and number not in seen:
                    seen.add(number)
                    stack.append(source)
        return sorted(found)

    def _follow(self, history: History, step: Step, change: Change, old: bytes | None) -> list[Cause]:
        """A change, or for one of an upstream result the changes there, as far up as they are known."""
        causes: list[Cause] = []
        stack: list[tuple[Step, Change, bytes | None, tuple[str, ...]]] = [(step, change, old, ())]
        seen: set[int] = set()
        while stack:
            at, what, key, below = stack.pop()
            found: list[tuple[Step, Change, bytes | None, tuple[str, ...]]] = []
            source = self._plan.steps[at.scope.number(what.source)] if what.source is not None else None
            if source is not None and source.number in seen:
                continue
            if source is not None and source.parts and key is not None and len(seen) < VISITED:
                seen.add(source.number)
                record = next((item for item in self._records(history, source) if item.key == key), None)
                after = read_parts(source.parts)
                best = nearest(source, after, [record]) if record is not None and after is not None else None
                if best is not None:
                    way = (at.id, *below)
                    found = [(source, more, linked_key(best[1], more), way) for more in best[2]]
            if found:
                stack += reversed(found)
            else:
                causes.append(Cause(at.id, what, below))
        return causes

    def _missing_files(self, step: Step) -> list[str]:
        from weft.engine.cache.entries import files_in, files_in_place

        outputs = self._cache.memory.peek(step.key)
        files: Any = list(files_in(outputs)) if outputs is not None else []
        if not files and self._cache.disk is not None:
            files = (self._cache.disk.note(step.key) or {}).get("files") or []
        return [path for path, digest in files if not files_in_place([(path, digest)])]
