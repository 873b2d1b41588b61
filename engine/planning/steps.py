"""What a plan is made of: steps, each one call of a node, and scopes, in which their links lead somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from weft.engine.checking.axes import Maps, Region
from weft.engine.declaring.node_type import NodeType
from weft.engine.filehash import FileState, FolderState
from weft.graphs.document import NodeSpec

if TYPE_CHECKING:
    from weft.engine.events import Tier


class State(IntEnum):
    """What became of a step."""

    IDLE = 0
    """Nobody asked for it."""
    WAITING = 1
    """It lacks results of others."""
    READY = 2
    RUNNING = 3
    UNFOLDED = 4
    """Other steps stand in its place."""
    DONE = 5
    """Its result is there."""
    DROPPED = 6
    """Nobody needs its result any more."""


IDLE, WAITING, READY, RUNNING, UNFOLDED, DONE, DROPPED = State

Rank = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list that a part of a graph runs for.

    Attributes:
        axis: of the list.
        index: its place in the list, from 0. count: how many items the list has.
        spreads: the `map_over` nodes that have the axis here.
        values: what the item is, by `map_over` node, where it is a text, a number or a truth value.
        shown: the node of the document that stands for the graph; None where it is the document's own.
    """

    axis: str
    index: int
    count: int
    spreads: tuple[str, ...]
    values: Mapping[str, Any]
    shown: str | None


@dataclass(slots=True, eq=False)
class Scope:
    """Where links of a graph lead: the document's own graph, one item of a mapped part, or what a node returned.

    Attributes:
        specs: the nodes by id; parts of them may not be of this scope.
        numbers: numbers of the steps of this scope by id.
        outer: where ids are looked up that are not of this scope.
        maps: the axes of the graph; None where nothing is mapped.
        bound: axes that have one item here.
        visible: the node of the document that stands for all of this; None where the ids are the document's.
        where: which part of that node, in words.
        depth: how many nodes had to return a graph to get here.
        root: whether it is the document's own graph.
        of: the target or `collect` of the document that it is one item of.
        tail: the one node that a graph comes to: where that returns a graph in turn, it goes no deeper.
        total: how many steps it has. done: how many of them are.
        given: steps that stand for values that were put into it.
        open: how many steps in it, or in scopes in it, may still ask for a lazy input.
        parked: steps whose results are kept for these.
        pending: how many of the steps that it is for are not done. closed: all of them are.
        items: the items of this graph's own lists that it runs for, the outermost first.
        around: those that the node runs for which returned the graph. home: where in the document that node stands;
            None for what is of the document itself.
    """

    specs: Mapping[str, NodeSpec]
    numbers: dict[str, int] = field(default_factory=dict)
    outer: Scope | None = None
    maps: Maps | None = None
    types: Mapping[str, NodeType] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()
    visible: str | None = None
    where: str = ""
    depth: int = 0
    root: bool = False
    of: str = ""
    tail: str = ""
    total: int = 0
    done: int = 0
    given: list[Step] = field(default_factory=list)
    open: int = 0
    parked: list[Step] = field(default_factory=list)
    pending: int = 0
    closed: bool = False
    items: tuple[Item, ...] = ()
    around: tuple[Item, ...] = ()
    home: Scope | None = None

    def number(self, id: str) -> int:
        """The step that an id of the graph stands for, seen from here."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.numbers.get(id)
            if found is not None:
                return found
            scope = scope.outer
        raise KeyError(id)


@dataclass(slots=True, eq=False)
class Step:
    """One call of a node, or what stands for one.

    Attributes:
        number: its place in the plan.
        shown: the node of the document that it belongs to.
        inputs: as the document has them, literals as the node gets them.
        key: names its result; random for a node that has to run each time.
        parts: what the key is made of (`planning.parts`); empty where it is random.
        keeps: whether equal keys mean equal results.
        stored: whether the result goes to the cache.
        trusted: whether it is made of what its key says, as far as was seen (`planning.doubts`).
        content: hashes of its outputs, where its users are told by these from others; None where that is not known.
        late: whether its key gets another one, once the contents of what it needs are known.
        files: what its fingerprint was made of, as it was then. uses: see `Context.used`.
        sources: numbers of the steps that it needs, each once; of a `collect` the lists that it goes along.
        lazy: numbers of the steps that it may turn out to need.
        rank: what is finished first, by target and by item. order: its place among those of a rank.
        same: number of an earlier step with the same key, which computes for both.
        tier: where the result is, when it need not be computed; "unneeded" until somebody asks for it.
        region: what a `collect` repeats.
        gathers: it gathers the items of a target, which no node of the document does.
        repeated: it stands for a node that runs per item, elsewhere; never runs itself.
        users: how many steps that run, and targets, may take its result.
        waiting: how many results it still lacks.
        pinned: a lazy input may turn out to need it after everything else did.
    """

    number: int
    id: str
    shown: str
    type: NodeType
    inputs: Mapping[str, Any]
    key: bytes
    keeps: bool
    sources: tuple[int, ...]
    scope: Scope
    rank: Rank
    order: Rank
    lazy: tuple[int, ...] = ()
    stored: bool = True
    same: int | None = None
    tier: Tier | None = "unneeded"
    region: Region | None = None
    gathers: bool = False
    repeated: bool = False
    parts: bytes = b""
    users: int = 0
    state: State = IDLE
    waiting: int = 0
    pinned: bool = False
    seconds: float = 0.0
    imports: float = 0.0
    trusted: bool = True
    files: tuple[FileState | FolderState, ...] = ()
    uses: frozenset[str] = frozenset()
    content: tuple[bytes, ...] | None = None
    late: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        """The items that it runs for, those of the graphs around it first."""
        scope = self.scope
        axes = scope.maps.runs.get(self.id, ()) if scope.maps is not None else ()
        return (*scope.around, *(item for item in scope.items if item.axis in axes))

    def use(self, what: str) -> None:
        """See `Context.used`."""
        self.uses |= {what}
