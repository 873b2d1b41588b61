"""What to do, decided before anything runs and where a graph unfolds: which nodes, in which order, with which keys.

Nodes are numbered so that each comes after what it needs, the first target's branch first. Nothing is said here about
which of them run: the scheduler asks for the targets and goes up from there, never above a result that is cached.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.axes import find_axes, gathered, has_maps, is_gathering, target_of
from weft.engine.checking.functions import HERE, Functions
from weft.engine.declaring.node_type import NodeType
from weft.engine.errors import NodeError
from weft.engine.filehash import FileState, FolderState
from weft.engine.planning.axis_inputs import with_axes
from weft.engine.planning.fingerprint import look_outside
from weft.engine.planning.keys import TypeSignature, key_parts, normal_inputs
from weft.engine.planning.returned import ReturnedForms
from weft.engine.planning.steps import DONE, DROPPED, IDLE, Rank, Scope, Step
from weft.graphs.document import Definition, Link, NodeSpec, Workflow
from weft.graphs.inputs import links_in

Recall = Callable[[bytes], tuple[bytes, ...] | None]


class Plan:
    """The steps there are so far, and how to make more.

    Attributes:
        root: the document's own graph.
        targets: numbers of the targets.
        definitions: reusable graphs, for nodes that return graphs with them.
        limits: how large the document may be; of what it unfolds into, the bounds of the run say how many nodes.
        on_move: told when one step (number) computes what another (number) was to compute.
        size: how many nodes of the document the targets reach.
        first: the first step of each key. twins: the others of that key, by its number.
        signatures: what the keys of each node type begin with. stamps: what fingerprints said, by number of the step.
    """

    def __init__(
        self,
        workflow: Workflow,
        catalogue: Catalogue,
        out: str,
        roots: Sequence[Path] | None = None,
        nonce: Callable[[], bytes] = lambda: secrets.token_bytes(20),
        definitions: Mapping[str, Definition] | None = None,
        functions: Functions = HERE,
        recall: Recall = lambda key: None,
    ) -> None:
        self.recall = recall
        self._late: dict[int, str | None] = {}
        """What fingerprints said of late steps."""
        self.functions = functions
        self.definitions = dict(definitions or {})
        self.limits = workflow.limits
        self.on_move: Callable[[int, int], None] = lambda gone, instead: None
        self.catalogue = catalogue
        self.out = out
        self.roots = roots
        self.nonce = nonce
        self.steps: list[Step] = []
        self.first: dict[bytes, int] = {}
        self.targets: list[int] = []
        self.size = 0
        self.root = Scope(workflow.nodes, root=True)
        self.returned = ReturnedForms()
        self.signatures: dict[NodeType, TypeSignature] = {}
        self.stamps: dict[int, str | None] = {}
        self.twins: dict[int, list[int]] = {}

    @property
    def numbers(self) -> dict[str, int]:
        """Number of each node of the document that a target reaches, by id."""
        return self.root.numbers

    def original(self, number: int) -> Step:
        """The step that computes for `number`: itself, or the earlier one of the same key."""
        step = self.steps[number]
        if step.same is None:
            return step
        found = self.steps[step.same]
        return self._instead(found, step) if found.scope.closed and found.state in (IDLE, DROPPED) else found

    def _instead(self, gone: Step, step: Step) -> Step:
        """Let a step compute for those that another was to compute for, whose scope has ended without it."""
        twins = self.twins.pop(gone.number)
        for number in twins:
            self.steps[number].same = step.number
        self.twins[step.number] = twins
        step.same = None
        self.first[gone.key] = step.number
        step.users, gone.users = step.users + gone.users, 0
        step.pinned = step.pinned or gone.pinned
        self.on_move(gone.number, step.number)
        return step

    def type_of(self, scope: Scope, id: str) -> NodeType:
        """The declaration of a node."""
        name = scope.specs[id].type
        found = scope.types.get(id) or self.catalogue.get(name)
        if found is None:
            raise LookupError(f"node {id!r} has the unknown type {name!r}: check the workflow before planning it")
        return found

    def add(self, scope: Scope, ids: Sequence[str], ranks: Sequence[Rank], after: Rank = ()) -> list[Step]:
        """Make the steps of a scope, each id after what it links to.

        Args:
            ranks: of each.
            after: where in the order they come; at the end of that of the step that unfolds.

        Raises:
            NodeError: something about a node cannot be worked out.
        """
        made = []
        lazy = False
        for place, id in enumerate(ids):
            try:
                step = self._step(scope, id, ranks[place], (*after, place))
            except Exception as error:
                shown = scope.visible or target_of(id)
                raise NodeError.of(shown, scope.specs[id].type, error) from error
            made.append(step)
            if step.lazy:
                lazy = True
        if lazy:
            for step in reversed(made):
                for number in step.lazy:
                    self.original(number).pinned = True
                if step.pinned:
                    for number in step.sources:
                        self.original(number).pinned = True
        return made

    def _step(self, scope: Scope, id: str, rank: Rank, order: Rank) -> Step:
        spec = scope.specs[id]
        node_type = self.type_of(scope, id)
        steps, numbers = self.steps, scope.numbers

        late = False

        def linked(link: Link) -> tuple[bytes, str]:
            nonlocal late
            number = numbers.get(link.node)
            step = steps[scope.number(link.node) if number is None else number]
            late = late or step.late or (step.type.content_key and step.content is None)
            return named(step, link.output)

        signature = self.signatures.get(node_type) or self.signature(node_type)
        inputs: Mapping[str, Any] = spec.inputs
        if signature.converts and not signature.converts.isdisjoint(inputs):
            inputs = normal_inputs(inputs, node_type.inputs)
        files: tuple[FileState | FolderState, ...] = ()
        stamp, known = None, True
        if signature.asks:
            stamp, known, files = look_outside(node_type, inputs, self.roots, self.functions)
            self.stamps[len(steps)] = stamp
        if signature.reads_id:
            stamp = json.dumps({"node": scope.visible or id, "outside": stamp})
        try:
            parts = key_parts(signature, inputs, stamp, linked) if known else b""
        except (TypeError, ValueError, OverflowError, RecursionError):  # it has a value that makes no key
            parts, known = b"", False
        key = blake2b(parts, digest_size=20).digest() if known else self.nonce()
        maps, region, repeated = scope.maps, None, False
        if maps is not None:
            repeated = maps.repeated(id, scope.bound)
            if id in maps.axis and node_type.flow == "collect" and not repeated:
                region = maps.region(id, scope.bound)
        found = []
        for item in inputs.values():
            for link in (item,) if type(item) is Link else item if type(item) is list else ():
                if type(link) is Link:
                    source = numbers.get(link.node)
                    found.append(scope.number(link.node) if source is None else source)
        sources = tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))
        keeps, trusted = known, True
        for source in sources:
            keeps = keeps and steps[source].keeps
            trusted = trusted and steps[source].trusted
        lazy: tuple[int, ...] = ()
        if region is not None:
            sources = tuple(scope.number(spread) for spread in region.spreads)
            lazy = tuple(scope.number(other) for other in region.outside)
        elif node_type.lazy:
            eager = _eager(scope, node_type, inputs)
            sources, lazy = (
                tuple(source for source in sources if (source in eager) is wanted) for wanted in (True, False)
            )
        number = len(steps)
        shown = scope.visible or (id if region is None else target_of(id))
        step = Step(
            number, id, shown, node_type, inputs, key, keeps, sources, scope, rank, order, lazy,
            keeps and not node_type.steers, None, "unneeded", region, is_gathering(id), repeated, parts,
            trusted=trusted, files=files, late=late,
        )  # fmt: skip
        if late:
            self._late[number] = stamp
        if node_type.content_key and keeps:
            step.content = self.recall(key)
        if not repeated:
            same = self.first.setdefault(key, number)
            if same != number:
                # A result that nobody holds any more is computed again, by the new step.
                other = steps[same]
                if other.state == DROPPED or (other.state == IDLE and other.scope.closed):
                    self.first[key] = number
                else:
                    step.same = same
                    self.twins.setdefault(same, []).append(number)
        steps.append(step)
        numbers[id] = number
        return step

    def settle(self, step: Step) -> None:
        """Give a late step the key that the contents of what it needs make; what is not known yet counts by its key."""
        step.late = False
        stamp = self._late.pop(step.number, None)
        if not step.parts:
            return

        def linked(link: Link) -> tuple[bytes, str]:
            source = self.original(step.scope.number(link.node))
            if source.late and source.repeated:  # it never begins itself
                self.settle(source)
            return named(source, link.output)

        step.parts = key_parts(self.signatures[step.type], step.inputs, stamp, linked)
        step.key = blake2b(step.parts, digest_size=20).digest()

    def signature(self, node_type: NodeType) -> TypeSignature:
        """What the keys of a node type begin with in this plan."""
        code, folder = self.catalogue.code(node_type), self.out if node_type.side_files else None
        signature = self.signatures[node_type] = TypeSignature.of(node_type, code, folder)
        return signature

    def give(self, scope: Scope, id: str, node_type: NodeType, key: bytes, keeps: bool, trusted: bool) -> Step:
        """A step that stands for a value which is there already."""
        step = Step(
            len(self.steps), id, scope.visible or id, node_type, {}, key, keeps, (), scope, (), (), stored=False,
            tier=None, state=DONE, trusted=trusted,
        )  # fmt: skip
        self.steps.append(step)
        scope.numbers[id] = step.number
        return step


def named(step: Step, output: str | None) -> tuple[bytes, str]:
    """What stands for an output of a step in the keys of its users: the step's key and the output, or its content."""
    node_type = step.type
    if node_type.content_key and step.content is not None:
        return step.content[node_type.output_positions[output]], "its content"
    return step.key, node_type.first_output if node_type.stands else output or node_type.first_output


def _eager(scope: Scope, node_type: NodeType, inputs: Mapping[str, Any]) -> set[int]:
    """What a node with lazy inputs needs before it is called."""
    ports = node_type.inputs
    return {
        scope.number(link.node)
        for name, item in inputs.items()
        if not ports[name].lazy or (ports[name].lazy_items and type(item) is Link)
        for link in links_in(item)
    }


def make_plan(
    workflow: Workflow,
    catalogue: Catalogue,
    targets: Sequence[str],
    out: str,
    roots: Sequence[Path] | None = None,
    nonce: Callable[[], bytes] = lambda: secrets.token_bytes(20),
    definitions: Mapping[str, Definition] | None = None,
    functions: Functions = HERE,
    recall: Recall = lambda key: None,
) -> Plan:
    """Number and sign what the targets reach. The workflow has to be free of errors (`engine.checker`).

    Linear in nodes and links.

    Args:
        targets: ids of nodes.
        out: the output folder, which enters the keys of nodes that write there.
        roots: folders that may be read; relative paths of files are looked for there.
        nonce: makes the key of a node that has to run each time.
        definitions: what graphs that nodes return may use as types.
        functions: calls what node types bring along.
        recall: gives the contents of a key's outputs, as they were last.
    """
    plan = Plan(workflow, catalogue, out, roots, nonce, definitions, functions, recall)
    targets = list(dict.fromkeys(targets))
    order, ranks = reachable(workflow.nodes, targets)
    plan.size = len(order)
    scope = plan.root
    last = {target: target for target in targets}
    names = {workflow.nodes[id].type for id in order}
    if has_maps(node_type for name in names if (node_type := catalogue.get(name))):
        last = map_scope(plan, scope, order, targets)
        more: dict[str, list[str]] = {}
        for id in scope.types:
            more.setdefault(target_of(id), []).append(id)
        pairs = [(part, rank) for id, rank in zip(order, ranks, strict=True) for part in (id, *more.get(id, ()))]
        order, ranks = [id for id, _ in pairs], [rank for _, rank in pairs]
    plan.add(scope, order, ranks)
    plan.targets = [scope.numbers[last[target]] for target in targets]
    return plan


def map_scope(plan: Plan, scope: Scope, order: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Find out what runs per item in a graph; returns per target the id of what has its result.

    Raises:
        ValueError: the axes do not go together (`check` says so before).
    """
    types = {id: plan.type_of(scope, id) for id in order}
    maps, problems = find_axes(scope.specs, types, order)
    if problems:
        raise ValueError(f"{problems[0].node}: {problems[0].message}")
    specs = dict(scope.specs)
    extra: dict[str, NodeType] = {}
    last: dict[str, str] = {}
    for target in targets:
        more, more_types = gathered(specs, types, maps, target)
        specs |= more
        extra |= more_types
        last[target] = next(reversed(more), target)
    if extra:
        maps, _ = find_axes(specs, types | extra, [*order, *extra])
    filled = with_axes(specs, types, maps, order)
    maps.unfilled = {id: specs[id] for id in filled}
    maps.specs = specs = specs | filled
    scope.specs, scope.types, scope.maps = specs, {**scope.types, **extra}, maps
    return last


def reachable(nodes: Mapping[str, NodeSpec], targets: Sequence[str]) -> tuple[list[str], list[Rank]]:
    """The targets and all they need, depth first, each after what it needs; and for which target each came first."""
    order: list[str] = []
    ranks: list[Rank] = []
    seen: set[str] = set()
    for place, target in enumerate(targets):
        if target in seen:
            continue
        seen.add(target)
        rank = (place,)
        stack = [(target, _sources(nodes[target].inputs))]
        while stack:
            id, sources = stack[-1]
            for source in sources:
                if source not in seen:
                    seen.add(source)
                    stack.append((source, _sources(nodes[source].inputs)))
                    break
            else:
                stack.pop()
                order.append(id)
                ranks.append(rank)
    return order, ranks


def _sources(inputs: Mapping[str, Any]) -> Iterator[str]:
    found = []
    for item in inputs.values():
        if type(item) is Link:
            found.append(item.node)
        elif type(item) is list:
            found += [part.node for part in item if type(part) is Link]
    return iter(found)
