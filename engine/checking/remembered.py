"""Documents that were prepared before: what cannot have changed since is not worked out again.

Asked anew each time: whether the document is the same, which types its nodes have, whether files are there, and what
nodes check of their own. Only a Workflow that comes a second time is remembered, and as long as somebody holds it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.again import CheckedForm
from weft.engine.checking.functions import HERE, Functions
from weft.engine.checking.prepare import Prepared, prepare
from weft.engine.checking.unchanged import Snapshot
from weft.engine.declaring.node_type import NodeType
from weft.graphs.document import Workflow

MOST_NODES = 50_000
"""How many nodes the remembered documents have together at most; each takes some 900 bytes with its plan."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Known:
    """A document without errors, as it was prepared.

    Attributes:
        types: those that its nodes have, by name.
        targets: what was asked for.
        checked: what has to be looked at again.
    """

    snapshot: Snapshot
    types: Mapping[str, NodeType]
    targets: tuple[str, ...] | None
    checked: CheckedForm

    @classmethod
    def of(cls, prepared: Prepared, snapshot: Snapshot, targets: Sequence[str] | None) -> Known | None:
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
        return cls(snapshot, types, asked, checked) if snapshot.holds(workflow) else None

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


_memory = Memory()


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
    if known is not None and known.targets == asked:
        open_roots = None if roots is None else [Path(root).absolute() for root in roots]
        if (prepared := known.prepared(workflow, catalogue, open_roots, functions)) is not None:
            return prepared, known
    snapshot = Snapshot.of(workflow) if met else None
    prepared, known = prepare(workflow, catalogue, targets=targets, roots=roots, functions=functions), None
    if snapshot is not None and prepared.workflow is workflow:
        known = Known.of(prepared, snapshot, targets)
        _memory.put(workflow, known)
    return prepared, known
