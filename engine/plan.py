"""What to do, decided once before anything runs: which nodes, in which order, with which keys, and which are there.

Nodes are numbered so that each comes after what it needs, the first target's branch first. These numbers are the
priorities of the scheduler: one branch is brought to its end before the next is begun, so the first image of a sweep
appears early and few intermediates are held.
"""

from __future__ import annotations

import inspect
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from engine.catalogue import Catalogue
from engine.context import resolve_input_path
from engine.declare import NodeType
from engine.filehash import content_hash
from engine.ports import MISSING
from engine.signature import TypeSignature, node_key, normal_inputs
from graphs.document import Link, Workflow
from graphs.inputs import links_in

if TYPE_CHECKING:
    from engine.events import Tier


@dataclass(slots=True)
class Step:
    """One node of a plan.

    Attributes:
        number: its place in the order.
        inputs: as the document has them, literals as the node gets them.
        key: names its result; random for a node that has to run each time.
        keeps: whether the result may go to the cache.
        sources: numbers of the steps it links to, each once.
        same: number of an earlier step with the same key, which computes for both.
        tier: where the result is, when it need not be computed; "unneeded" until somebody asks for it.
        users: how many steps that run, and targets, take its result.
    """

    number: int
    id: str
    type: NodeType
    inputs: Mapping[str, Any]
    key: bytes
    keeps: bool
    sources: tuple[int, ...]
    same: int | None = None
    tier: Tier | None = "unneeded"
    users: int = 0


@dataclass(slots=True)
class Plan:
    """A workflow's steps in order.

    Attributes:
        numbers: number of each node that a target reaches, by id.
        targets: numbers of the targets.
        loads: numbers of the steps whose result comes from the cache and is used.
        runs: numbers of the steps that run.
    """

    steps: list[Step]
    numbers: dict[str, int]
    targets: list[int]
    loads: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)

    def original(self, number: int) -> Step:
        """The step that computes for `number`: itself, or the earlier one of the same key."""
        step = self.steps[number]
        return step if step.same is None else self.steps[step.same]


class Finder(Protocol):
    """Tells where a key's result is, without loading it."""

    def __call__(self, key: bytes) -> Tier | None: ...


def make_plan(
    workflow: Workflow,
    catalogue: Catalogue,
    targets: Sequence[str],
    out: str,
    roots: Sequence[Path] | None = None,
    nonce: Callable[[], bytes] = lambda: secrets.token_bytes(20),
) -> Plan:
    """Number and sign what the targets reach. The workflow has to be free of errors (`engine.checker`).

    Linear in nodes and links.

    Args:
        targets: ids of nodes.
        out: the output folder, which enters the keys of nodes that write there.
        roots: folders that may be read; relative paths of files are looked for there.
        nonce: makes the key of a node that has to run each time.
    """
    order = reachable(workflow, targets)
    numbers = {id: number for number, id in enumerate(order)}
    steps: list[Step] = []
    first: dict[bytes, int] = {}
    signatures: dict[str, TypeSignature] = {}
    nodes = workflow.nodes

    def linked(link: Link) -> tuple[bytes, str]:
        step = steps[numbers[link.node]]
        return step.key, link.output or next(iter(step.type.outputs))

    for number, id in enumerate(order):
        spec = nodes[id]
        node_type = catalogue.get(spec.type)
        if node_type is None:
            raise LookupError(f"node {id!r} has the unknown type {spec.type!r}: check the workflow before planning it")
        signature = signatures.get(node_type.name)
        if signature is None:
            code, folder = catalogue.code(node_type), out if node_type.side_files else None
            signature = signatures[node_type.name] = TypeSignature.of(node_type, code, folder)
        inputs = normal_inputs(spec.inputs, node_type.inputs)
        fingerprint, known = _fingerprint(node_type, inputs, roots)
        key = node_key(signature, inputs, fingerprint, linked) if known else nonce()
        sources = tuple(dict.fromkeys(numbers[link.node] for item in inputs.values() for link in links_in(item)))
        keeps = known and all(steps[source].keeps for source in sources)
        same = first.setdefault(key, number)
        steps.append(Step(number, id, node_type, inputs, key, keeps, sources, None if same == number else same))
    return Plan(steps, numbers, [numbers[id] for id in dict.fromkeys(targets)])


def find_hits(plan: Plan, find: Finder) -> None:
    """Decide which steps run and which come from the cache: from the targets upwards, never looking above a hit."""
    needed = [False] * len(plan.steps)
    for target in plan.targets:
        step = plan.original(target)
        needed[step.number] = True
        step.users += 1
    plan.loads.clear()
    plan.runs.clear()
    # Sources have smaller numbers, so every user of a step is met before the step itself.
    for step in reversed(plan.steps):
        if not needed[step.number]:
            continue
        step.tier = find(step.key) if step.keeps else None
        if step.tier is not None:
            plan.loads.append(step.number)
            continue
        plan.runs.append(step.number)
        for source in {plan.original(source).number for source in step.sources}:
            needed[source] = True
            plan.steps[source].users += 1
    plan.loads.reverse()
    plan.runs.reverse()


def reachable(workflow: Workflow, targets: Iterable[str]) -> list[str]:
    """The targets and all they need, depth first, each after what it needs."""
    order: list[str] = []
    seen: set[str] = set()
    nodes = workflow.nodes
    for target in targets:
        if target in seen:
            continue
        seen.add(target)
        stack: list[tuple[str, Iterator[str]]] = [(target, _sources(nodes[target].inputs))]
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
    return order


def _sources(inputs: Mapping[str, Any]) -> Iterator[str]:
    for item in inputs.values():
        for link in links_in(item):
            yield link.node


def _fingerprint(
    node_type: NodeType, inputs: Mapping[str, Any], roots: Sequence[Path] | None
) -> tuple[str | None, bool]:
    """What of the world outside the document enters a node's key, and whether it can be known before the node runs.

    A node that gives no fingerprint (the file is missing, say) runs, and says itself what is wrong.
    """
    if node_type.cache == "never":
        return None, False
    function = node_type.fingerprint
    if function is None and not node_type.files:
        return None, True
    literals = {
        name: inputs.get(name, port.default)
        for name, port in node_type.inputs.items()
        if port.default is not MISSING or name in inputs
    }
    literals = {name: item for name, item in literals.items() if not any(links_in(item))}
    linked = node_type.inputs.keys() - literals.keys()
    try:
        for name in node_type.files & literals.keys():
            if isinstance(literals[name], (str, PurePath)) and str(literals[name]):
                literals[name] = str(resolve_input_path(literals[name], roots))
        if function is None:
            # It reads files and says no more: then it depends on what is in them.
            paths = {name: literals[name] for name in sorted(node_type.files & literals.keys())}
            texts = {name: content_hash(path) for name, path in paths.items() if isinstance(path, str) and path}
            return json.dumps(texts), not node_type.files & linked
        parameters = inspect.signature(function).parameters
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            if any(name in linked and parameter.default is parameter.empty for name, parameter in parameters.items()):
                return None, False
            literals = {name: item for name, item in literals.items() if name in parameters}
        return str(function(**literals)), True
    except Exception:
        return None, False
