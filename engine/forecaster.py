"""`forecast`: what a run would do now, by the decisions that the scheduler would take, without doing any of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from weft.engine.cache import Cache
from weft.engine.cache.known_contents import recall
from weft.engine.catalogue.catalogue import Catalogue, installed
from weft.engine.checking.prepare import prepare
from weft.engine.checking.source import Source, read_source
from weft.engine.declaring.context import OUT
from weft.engine.events import Tier
from weft.engine.planning.parts import Change, without
from weft.engine.planning.plan import Plan, make_plan
from weft.engine.planning.steps import DONE, IDLE, UNFOLDED, Step
from weft.engine.planning.unfold import Bounds, unfold_region
from weft.engine.running.calls import Demand, Inputs
from weft.engine.running.emitter import Emitter
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.lanes import Lanes, LaneSizes
from weft.engine.running.reporter import Reporter
from weft.engine.running.waiting import Waiting
from weft.engine.running.why import Reasons
from weft.graphs.document import Link
from weft.graphs.problems import Problem, WorkflowError

Will = Literal["run", "resume", "cached", "skip", "unknown"]
ITEMS = 5_000
"""Steps for items of lists that are looked at; what lies in longer lists is unknown."""


@dataclass(frozen=True, slots=True)
class NodeForecast:
    """What would become of a node.

    Attributes:
        will: "run"; "resume", which is to run from a step of an earlier run on; "cached"; "skip" when nobody needs its
            result; "unknown" when that depends on what other nodes give.
        reason: why, in a few words.
        tier: of what is cached, where it is; "memory" also for a node that has the result of another one of this run.
        steps, of: of what is resumed, how many steps of how many are there already, at least. A node that differs from
            an earlier run in its techniques alone may resume too; where the two part shows when it runs.
        seconds: how long nodes of its type took lately, times its items; None when that is not known.
        items, items_cached: of a node that runs per item, how many items there are and how many of them are cached.
        steers: it only decides what else runs, and counts as neither run nor cached.
        why: of what runs or is resumed, what differs from when it ran last; nothing where it never ran as far as is
            known, or its result is gone. `why` follows changes up to where they come from.
    """

    will: Will
    reason: str = ""
    tier: Tier | None = None
    steps: int | None = None
    of: int | None = None
    seconds: float | None = None
    items: int | None = None
    items_cached: int | None = None
    steers: bool = False
    why: tuple[Change, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, without what does not apply; each change in words too, as `text`."""
        items = {name: getattr(self, name) for name in self.__slots__}
        items["why"] = [{**change.to_dict(), "text": str(change)} for change in self.why]
        return {name: item for name, item in items.items() if item not in (None, "", []) and item is not False}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do now.

    Attributes:
        nodes: by id, those that are left out too; a node inside a definition as `use/node`.
        seconds: how long that takes, going by what nodes of the same types took lately, one after another; None where
            that is not known of all that run.
        warnings: problems of the workflow that are no errors.
    """

    nodes: dict[str, NodeForecast]
    seconds: float | None = None
    warnings: list[Problem] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes would run, resume, be cached, be skipped or are unknown; those that steer are left out."""
        found = Counter(node.will for node in self.nodes.values() if not node.steers)
        return {will: found[will] for will in ("run", "resume", "cached", "skip", "unknown")}

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "nodes": {id: node.to_dict() for id, node in self.nodes.items()},
            "counts": self.counts,
            "seconds": self.seconds,
            "problems": [problem.model_dump(mode="json") for problem in self.warnings],
        }


def forecast(
    source: Source,
    targets: Sequence[Any] | None = None,
    *,
    cache: Cache | None = None,
    catalogue: Catalogue | None = None,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Forecast:
    """Say what `run` with the same arguments would do now. Nothing runs, and the cache stays as it is.

    Args:
        source: a path, a document as JSON data, a Workflow or a Graph.
        targets: what to make: handles, `"node"` or `"node.output"`; by default every node that is an output.
        cache: where results would be looked for; by default this user's.
        catalogue: the nodes there are; by default those that are installed.
        roots: folders that may be read; None allows every path.
        out: folder for files that are results.

    Raises:
        WorkflowError: the workflow has errors, so it would not start.
        NodeError: something about a node cannot be worked out, so the run would fail at once.
    """
    catalogue = catalogue or installed()
    cache = Cache.default() if cache is None else cache
    names = None if targets is None else [item if isinstance(item, str) else str(item.link) for item in targets]
    document = read_source(source)
    prepared = prepare(document, catalogue, targets=names, roots=roots)
    if any(problem.severity == "error" for problem in prepared.problems):
        raise WorkflowError(prepared.problems)
    catalogue = prepared.catalogue
    plan = make_plan(
        prepared.workflow,
        catalogue,
        prepared.target_nodes(catalogue),
        str(Path(OUT if out is None else out).absolute()),
        None if roots is None else [Path(root).absolute() for root in roots],
        definitions=document.definitions,
        recall=partial(recall, cache),
    )
    nodes = _Rehearsal(plan, cache).nodes()
    left_out = {id: _muted(id, because) for id, because in prepared.muted.items() if id not in nodes}
    idle = {id: NodeForecast("skip", "no target needs it") for id in prepared.workflow.nodes if id not in nodes}
    nodes |= left_out | {id: node for id, node in idle.items() if id not in left_out}
    times = [node.seconds for node in nodes.values() if node.will in ("run", "resume") and not node.steers]
    known = [seconds for seconds in times if seconds is not None]
    return Forecast(nodes, sum(known) if len(known) == len(times) else None, prepared.problems)


def _muted(id: str, because: str) -> NodeForecast:
    return NodeForecast("skip", "muted" if because == id else f"it depends on {because}, which is muted")


class _Asked(Waiting):
    """The scheduler's own way of asking for steps, which writes down which of them would run."""

    def __init__(self, plan: Plan, intermediates: Intermediates, cache: Cache) -> None:
        report = Reporter(Emitter("", None), plan)

        def find(step: Step) -> Tier | None:
            return cache.peek(step.key) if step.stored else None

        super().__init__(plan, intermediates, Lanes(LaneSizes()), report, find)
        self.steps: list[Step] = []

    def follow(self, who: Step | Demand, sources: Iterable[Step]) -> bool:
        """See `Waiting`."""
        if isinstance(who, Step):
            self.steps.append(who)
        return super().follow(who, sources)


class _Rehearsal:
    """A run up to where nodes would be called. What depends on what they give is unknown."""

    def __init__(self, plan: Plan, cache: Cache) -> None:
        self._plan = plan
        self._cache = cache
        self._reasons = None if cache.history is None else Reasons(cache.history)
        self._intermediates = Intermediates(plan)
        self._inputs = Inputs(plan, self._intermediates.results, _never)
        self._waiting = _Asked(plan, self._intermediates, cache)
        self._unknown: dict[str, str] = {}
        """Nodes that run per item of lists that are not known, and why."""
        self._perhaps: list[tuple[tuple[int, ...], str]] = []
        """Steps that may turn out to be needed, and by whom."""
        self._certain = 0
        for number in plan.targets:
            plan.original(number).users += 1
        self._waiting.need(plan.targets)
        self._go_on(self._decide)
        self._settled = {step.number for step in plan.steps if step.state != IDLE}
        self._doubts: dict[int, str] = {}
        for numbers, reason in self._perhaps:
            self._suppose(numbers, reason)
        expands = sorted({step.shown for step in self._waiting.steps if step.type.returns_graph})
        self._expands = f"the graph that {expands[0]} returns may need it" if expands else ""

    def _go_on(self, decide: Any) -> None:
        """Look at each step that would run, once."""
        steps = self._waiting.steps
        while self._certain < len(steps):
            step = steps[self._certain]
            self._certain += 1
            decide(step)

    def _decide(self, step: Step) -> None:
        if step.region is not None:
            self._unfold(step)
        elif step.lazy:
            try:
                numbers = self._inputs.wanted(step) if step.type.needs is not None else None
            except Exception:  # it depends on a value that is not there, or the node will say itself what is wrong
                numbers = None
            if numbers is None:
                self._perhaps.append((step.lazy, f"{step.shown} may ask for it"))
            else:
                self._waiting.need(numbers)

    def _unfold(self, step: Step) -> None:
        """One part per item, where the items are known: by value, or by where they come from."""
        plan, region = self._plan, step.region
        assert region is not None
        lists = [self._items(plan.steps[source]) for source in step.sources]
        missing = [plan.steps[source] for source, items in zip(step.sources, lists, strict=True) if items is None]
        try:
            if missing:
                raise ValueError(f"the items of {missing[0].shown} are not known yet")
            unfolded = unfold_region(plan, step, lists, self._give, Bounds(0, ITEMS))
        except Exception as reason:
            for id in region.members:
                self._unknown.setdefault(id, str(reason))
            self._perhaps.append((step.lazy, f"{region.members[0] if region.members else step.id} may need it"))
            return
        step.state = UNFOLDED
        roots = self._intermediates.originals(tuple(unfolded.roots))
        self._waiting.need([source.number for source in roots])

    def _items(self, spread: Step) -> list[Any] | None:
        """What a `map_over` goes over; an item that is not there yet stands for itself."""
        item = spread.inputs.get("items")
        try:
            if isinstance(item, list):
                return [self._item(spread, part) for part in item]
            return list(self._inputs.value(spread.scope, item)) if isinstance(item, Link) else None
        except (KeyError, TypeError):
            return None

    def _item(self, spread: Step, part: Any) -> Any:
        if not isinstance(part, Link):
            return part
        try:
            return self._inputs.value(spread.scope, part)
        except KeyError:
            return _NOT_THERE

    def _give(self, step: Step, value: Any) -> None:
        if value is _NOT_THERE:
            step.state, step.users = DONE, 1
        else:
            self._intermediates.give(step, value)

    def _suppose(self, numbers: Sequence[int], reason: str) -> None:
        """Ask for what may be needed, and for whatever that may need, to see how far it goes."""

        def widen(step: Step) -> None:
            if step.region is not None:
                for id in step.region.members:
                    self._unknown.setdefault(id, reason)
            self._waiting.need(step.lazy)

        self._waiting.need(numbers)
        self._go_on(widen)
        for step in self._plan.steps:
            if step.state != IDLE and step.number not in self._settled:
                self._doubts.setdefault(step.number, reason)

    # -- what became of the steps

    def nodes(self) -> dict[str, NodeForecast]:
        """By the ids that events have."""
        per_item: dict[str, list[Step]] = {}
        rivals: dict[int, set[str]] = {}
        for step in self._plan.steps:
            if step.scope.root or step.repeated or step.gathers or step.type.stands:
                continue
            per_item.setdefault(step.shown, []).append(step)
            original = self._plan.original(step.number)
            if original is not step and not _same_part(original, step):
                rivals.setdefault(original.number, {original.shown}).add(step.shown)
        found: dict[str, NodeForecast] = {}
        for step in self._plan.steps:
            if not step.scope.root or step.gathers:
                continue
            if step.repeated:
                found[step.shown] = self._of_items(step, per_item.get(step.shown, []), rivals)
            else:
                found[step.shown] = self._of_step(step)
        return found

    def _of_step(self, step: Step) -> NodeForecast:
        original = self._plan.original(step.number)
        node = self._outcome(original)
        if original is not step and node.will in ("run", "resume", "cached"):
            return NodeForecast("cached", f"it is equal to {original.shown}", tier="memory", steers=node.steers)
        if node.will == "run" and not node.steers:
            timed = self._resumed(original, self._timed(original, 1, node.reason))
            return timed if self._reasons is None else replace(timed, why=tuple(self._reasons.changes(original)))
        return node

    def _resumed(self, step: Step, node: NodeForecast) -> NodeForecast:
        """What runs, unless an earlier run of the same left steps; and whether those of a similar one may serve."""
        trails = self._cache.trails
        if trails is None or not step.keeps or step.type.context_parameter is None:
            return node
        if (found := trails.progress(step.key)) is not None and found.steps:
            part = 1 - found.steps / found.of if found.of else 1.0
            seconds = None if node.seconds is None else node.seconds * part
            return replace(node, will="resume", steps=found.steps, of=found.of, seconds=seconds)
        if step.type.resumes and (found := trails.progress(without(step.parts, step.type.resumes))) is not None:
            return replace(node, reason=f"may go on from up to {found.steps} steps of an earlier run")
        return node

    def _of_items(self, step: Step, items: list[Step], rivals: dict[int, set[str]]) -> NodeForecast:
        if step.id in self._unknown:
            return NodeForecast("unknown", self._unknown[step.id])
        outcomes = [(item, self._outcome(self._plan.original(item.number))) for item in items]
        doubts = [node for _, node in outcomes if node.will == "unknown"]
        cached = [node for _, node in outcomes if node.will == "cached"]
        runs = [item for item, node in outcomes if node.will == "run" and item.same is None]
        others = [item for item, node in outcomes if node.will == "run" and item.same is not None]
        asked = len(outcomes) - sum(node.will == "skip" for _, node in outcomes)
        steers = step.type.steers
        own = [item for item in runs if len(rivals.get(item.number, ())) < 2]
        if own or (runs and steers):
            node = NodeForecast("run", items=asked, items_cached=len(cached), steers=steers)
            return node if steers else self._timed(own[0], len(runs), "", asked, len(cached))
        if doubts:
            return NodeForecast("unknown", doubts[0].reason)
        if runs or any(not self._is_cached(item) for item in others):
            return NodeForecast("unknown", "another node has equal items, and one of the two computes them")
        if asked:
            tiers = {node.tier for node in cached}
            tier: Tier = "disk" if tiers == {"disk"} and not others else "memory"
            return NodeForecast("cached", tier=tier, items=asked, items_cached=asked, steers=steers)
        if not outcomes and self._expands:
            return NodeForecast("unknown", self._expands)
        return NodeForecast("skip", _SKIPPED, steers=steers)

    def _is_cached(self, item: Step) -> bool:
        """Whether a result that another step of this run computes is there for this one for certain."""
        original = self._plan.original(item.number)
        if original.shown == item.shown or (not original.scope.root and _same_part(original, item)):
            return True
        return bool(self._cache.memory.ram_bytes and original.stored)

    def _outcome(self, step: Step) -> NodeForecast:
        """What becomes of a step that computes for itself."""
        steers = step.type.steers
        if step.number in self._doubts:
            return NodeForecast("unknown", self._doubts[step.number], steers=steers)
        if step.state == IDLE:
            if self._expands and not (step.stored and self._cache.peek(step.key)):
                return NodeForecast("unknown", self._expands, steers=steers)
            return NodeForecast("skip", _SKIPPED, steers=steers)
        if step.tier is not None:
            return NodeForecast("cached", tier=step.tier)
        reason = "" if step.keeps else "it runs each time" if not step.parts else "what it needs runs each time"
        return NodeForecast("run", reason, steers=steers)

    def _timed(
        self, step: Step, count: int, reason: str, items: int | None = None, cached: int | None = None
    ) -> NodeForecast:
        seconds = None
        if (history := self._cache.history) is not None:
            history.refresh(step.type.name)
            seconds = history.seconds(step.type.name)
        total = None if seconds is None else seconds * count
        return NodeForecast("run", reason, seconds=total, items=items, items_cached=cached)


_NOT_THERE: Any = object()
"""An item of a list that another node makes."""
_SKIPPED = "what uses it is cached, or asks for something else"


def _same_part(one: Step, other: Step) -> bool:
    """Whether two steps come from one unfolding, so that it is certain which of them computes; or from the root."""
    if one.shown == other.shown or one.scope.root:
        return True
    return one.scope.outer is other.scope.outer and one.scope.of == other.scope.of


def _never(demand: Demand) -> None:
    raise AssertionError("nothing runs that could ask")
