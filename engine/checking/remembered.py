"""Documents that were prepared before: what cannot have changed since is not worked out again.

Asked anew each time: whether the document is the same, which types its nodes have, whether files are there, and what
nodes check of their own. A Workflow that comes a second time is remembered as long as somebody holds it. What was read
anew, as a server or an editor does with each run, is compared with what came before: what comes a second time is
remembered by what it says, and goes by least recent use.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.again import CheckedForm
from weft.engine.checking.functions import HERE, Functions
from weft.engine.checking.prepare import Prepared, prepare
from weft.engine.checking.unchanged import Snapshot, digest
from weft.engine.declaring.node_type import NodeType
from weft.engine.ownership import copies_for
from weft.graphs.document import Workflow

MOST_NODES = 50_000
"""How many nodes the remembered documents have together at most; each takes some 900 bytes with its plan."""
MOST_NODES_ANEW = 20_000
"""The same of those that are remembered by what they say: these stay when nobody holds them."""
_MOST_ANEW = 500


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Known:
    """A document without errors, as it was prepared.

    Attributes:
        types: those that its nodes have, by name.
        targets: what was asked for.
        checked: what has to be looked at again.
        own: a copy of the document that nobody else has, so that nobody changes it; None where it is known by object.
    """

    snapshot: Snapshot
    types: Mapping[str, NodeType]
    targets: tuple[str, ...] | None
    checked: CheckedForm
    own: Workflow | None = None

    @classmethod
    def of(
        cls, prepared: Prepared, snapshot: Snapshot, targets: Sequence[str] | None, own: Workflow | None = None
    ) -> Known | None:
        """None for what is not simply remembered: problems, definitions, other versions, muted or bypassed nodes.

        Args:
            snapshot: of the document, from before it was prepared.
        """
        workflow = prepared.workflow
        if prepared.problems or prepared.aliases or prepared.muted or workflow.definitions:
            return None
        checked = CheckedForm.of(workflow.nodes, prepared.catalogue)
        types = {node_type.name: node_type for node_type in checked.types.values()}
        asked = None if targets is None else tuple(targets)
        # Somebody may have changed it meanwhile, in another thread.
        return cls(snapshot, types, asked, checked, own) if snapshot.holds(workflow) else None

    def prepared(
        self, workflow: Workflow, catalogue: Catalogue, roots: Sequence[Path] | None, functions: Functions
    ) -> Prepared | None:
        """The document prepared again; None when that has to be done from the start."""
        if workflow.definitions or not self.snapshot.holds(workflow):
            return None
        catalogue = catalogue.knowing(workflow.declarations)
        if any(catalogue.get(name) is not node_type for name, node_type in self.types.items()):
            return None
        if not self.checked.still_holds(workflow.nodes, catalogue, roots, functions):
            return None
        return Prepared(workflow, [], catalogue, None if self.targets is None else list(self.targets))


class Memory:
    """The documents that are known, by object. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a document may come to its end, and be forgotten, while it is held
        self._seen: dict[int, tuple[weakref.ref[Workflow], Known | None]] = {}
        self._nodes = 0

    def get(self, workflow: Workflow) -> tuple[bool, Known | None]:
        """Whether this object was met before, and what is known of it. From now on it was."""
        with self._lock:
            found = self._seen.get(id(workflow))
            if found is not None and found[0]() is workflow:
                return True, found[1]
            self._put(workflow, None)
            return False, None

    def put(self, workflow: Workflow, known: Known | None) -> None:
        """Know a document, in the place of what was known of it."""
        with self._lock:
            self._put(workflow, known)

    def _put(self, workflow: Workflow, known: Known | None) -> None:
        number = id(workflow)
        self._remove(number)
        if known is not None and len(known.snapshot.ids) > MOST_NODES:
            known = None
        more = 0 if known is None else len(known.snapshot.ids)
        if self._nodes + more > MOST_NODES or len(self._seen) > MOST_NODES:
            self._seen.clear()
            self._nodes = 0
        self._nodes += more
        self._seen[number] = weakref.ref(workflow, lambda gone: self._forget(number, gone)), known

    def _forget(self, number: int, gone: weakref.ref[Workflow]) -> None:
        with self._lock:
            found = self._seen.get(number)
            if found is not None and found[0] is gone:
                self._remove(number)

    def _remove(self, number: int) -> None:
        _, known = self._seen.pop(number, (None, None))
        if known is not None:
            self._nodes -= len(known.snapshot.ids)


class Contents:
    """The documents that are known by what they say. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Hashable, Known | None] = {}
        """The least recently used first; None of one that came once, or cannot be known."""
        self._met: set[Hashable] = set()

    def get(self, name: Hashable, workflow: Workflow) -> tuple[bool, Known | None]:
        """Whether it should be known from now on, and what is known of it."""
        with self._lock:
            if name not in self._seen:
                is_met = name in self._met
                if len(self._met) >= MOST_NODES_ANEW:
                    self._met.clear()
                self._met.add(name)
                return is_met, None
            known = self._seen[name] = self._seen.pop(name)
        # What is no JSON may not even be comparable.
        with contextlib.suppress(Exception):
            if known is not None and known.own is not None and _is_alike(workflow, known.own, known.snapshot):
                return False, known
        return known is not None, None  # of two that have one name, the last one is known

    def put(self, name: Hashable, known: Known | None) -> None:
        """Know a document; None where that cannot be."""
        with self._lock:
            self._seen.pop(name, None)
            if known is not None and len(known.snapshot.ids) > MOST_NODES_ANEW:
                known = None
            self._seen[name] = known
            while len(self._seen) > _MOST_ANEW or self.nodes > MOST_NODES_ANEW:
                del self._seen[next(iter(self._seen))]

    @property
    def nodes(self) -> int:
        """How many nodes the known documents have together."""
        return sum(len(known.snapshot.ids) for known in self._seen.values() if known is not None)


def _is_alike(workflow: Workflow, known: Workflow, nodes: Snapshot) -> bool:
    """Whether a document says what a known one did, as far as it matters for what is checked and run."""
    return (
        workflow.parameters == known.parameters
        and workflow.unknown == known.unknown
        and workflow.limits == known.limits
        and nodes.says(workflow)
    )


def _own(workflow: Workflow) -> Workflow:
    nodes = {
        id: spec.model_copy(update={"inputs": dict(copies_for(spec.inputs))}) for id, spec in workflow.nodes.items()
    }
    return workflow.model_copy(update={"nodes": nodes, "parameters": dict(workflow.parameters)})


_memory = Memory()
_contents = Contents()


def prepare_again(
    workflow: Workflow,
    catalogue: Catalogue,
    *,
    targets: Sequence[str] | None = None,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    functions: Functions = HERE,
) -> tuple[Prepared, Known | None]:
    """What `prepare` gives, with less work for a Workflow that came before, and what is known of it now.

    For who wants to run it: what is no error is left out where it was said before.
    """
    met, known = _memory.get(workflow)
    asked = None if targets is None else tuple(targets)
    open_roots = None if roots is None else [Path(root).absolute() for root in roots]
    if known is not None and known.targets == asked:
        prepared = known.prepared(workflow, catalogue, open_roots, functions)
        if prepared is not None:
            return prepared, known
    if not met and not workflow.declarations and not workflow.definitions:
        return _prepare_anew(workflow, catalogue, targets, open_roots, functions)
    snapshot = Snapshot.of(workflow) if met else None
    prepared, known = prepare(workflow, catalogue, targets=targets, roots=roots, functions=functions), None
    if snapshot is not None and prepared.workflow is workflow:
        known = Known.of(prepared, snapshot, targets)
        _memory.put(workflow, known)
    return prepared, known


def _prepare_anew(
    workflow: Workflow,
    catalogue: Catalogue,
    targets: Sequence[str] | None,
    roots: Sequence[Path] | None,
    functions: Functions,
) -> tuple[Prepared, Known | None]:
    """What `prepare_again` gives for an object that it has not met: perhaps one that says the same came before."""
    name = (digest(workflow), None if targets is None else tuple(targets))
    to_know, known = _contents.get(name, workflow)
    if known is not None and known.own is not None:
        if (prepared := known.prepared(known.own, catalogue, roots, functions)) is not None:
            prepared.workflow = workflow
            return prepared, known
        to_know = True
    own = _own(workflow) if to_know else workflow
    snapshot = Snapshot.of(own) if to_know else None
    prepared, known = prepare(own, catalogue, targets=targets, roots=roots, functions=functions), None
    if prepared.workflow is own:
        if snapshot is not None:
            known = Known.of(prepared, snapshot, targets, own)
        prepared.workflow = workflow
    if to_know:
        _contents.put(name, known)
    return prepared, known
