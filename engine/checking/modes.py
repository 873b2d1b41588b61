"""Nodes that are left out of runs: `"mode": "mute"` and `"mode": "bypass"`.

A muted node does not run, and neither does anything that depends on it. A bypassed node passes on, for each of its
outputs, the input of the same type; where it has none, whoever links to it is as without the link: an item of a list
is left out, an input has its default. Neither changes the keys of nodes that run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.types import accepts, describe, has_typevar
from weft.graphs.definitions import ABSENT, Inlined, Use
from weft.graphs.document import NodeSpec, Workflow
from weft.graphs.inputs import Link, links_in


@dataclass(slots=True)
class Applied:
    """A workflow without what is left out.

    Attributes:
        muted: what does not run, each with the muted node that it is because of (perhaps itself).
        cut: (node, input) that had a link to a bypassed node which had nothing to pass on -> that node.
    """

    workflow: Workflow
    muted: dict[str, str] = field(default_factory=dict)
    cut: dict[tuple[str, str], str] = field(default_factory=dict)
    passes: dict[tuple[str, str | None], Any] = field(default_factory=dict)

    def target(self, text: str) -> str:
        """What a target comes to where its node is bypassed."""
        item = self.chase(Link.parse(text))
        return str(item) if isinstance(item, Link) else text

    def chase(self, link: Link) -> Any:
        """What comes through bypassed nodes, one after another. A way that was walked is short from then on."""
        way = []
        item: Any = link
        while isinstance(item, Link) and (step := (item.node, item.output)) in self.passes:
            way.append(step)
            item = self.passes[step]
        for step in way:
            self.passes[step] = item
        return item


def apply_modes(workflow: Workflow, inlined: Inlined, catalogue: Catalogue) -> Applied:
    """Take out what is muted or bypassed. The workflow has no circles. Linear in nodes and links."""
    uses = [use for use in inlined.uses.values() if use.spec.mode == "bypass"]
    if not uses and not any(spec.mode for spec in workflow.nodes.values()):
        return Applied(workflow)
    return _Modes(workflow, uses, catalogue).applied()


class _Modes:
    def __init__(self, workflow: Workflow, uses: list[Use], catalogue: Catalogue) -> None:
        self.result = Applied(workflow)
        self.nodes: dict[str, NodeSpec] = dict(workflow.nodes)
        self.types: dict[str, NodeType] = {}
        for id, spec in self.nodes.items():
            if (node_type := catalogue.get(spec.type)) is not None:
                self.types[id] = node_type
        self.uses = uses

    def applied(self) -> Applied:
        gone: set[str] = set()
        passes = self.result.passes
        around = {use.path for use in self.uses}
        gone.update(id for id in self.nodes if around and not around.isdisjoint(_around(id)))
        for use in self.uses:
            for link, item in self._use_passes(use):
                passes[link.node, link.output] = item
        for id, spec in self.nodes.items():
            # One of an unknown type stays where it is, for the check to say so.
            if spec.mode == "bypass" and id not in gone and id in self.types:
                gone.add(id)
                for output, item in _node_passes(spec, self.types[id]):
                    passes[id, output] = item
        self.gone = gone
        nodes = {id: self._rewired(id, spec) for id, spec in self.nodes.items() if id not in gone}
        self._mute(nodes)
        nodes = {id: spec for id, spec in nodes.items() if id not in self.result.muted}
        self.result.workflow = self.result.workflow.model_copy(update={"nodes": nodes})
        return self.result

    def _mute(self, nodes: Mapping[str, NodeSpec]) -> None:
        users: dict[str, list[str]] = {}
        for id, spec in nodes.items():
            for _, link in spec.links():
                users.setdefault(link.node, []).append(id)
        muted = self.result.muted
        muted.update((id, id) for id, spec in nodes.items() if spec.mode == "mute")
        waiting = deque(muted)
        while waiting:
            id = waiting.popleft()
            for user in users.get(id, ()):
                if user not in muted:
                    muted[user] = muted[id]
                    waiting.append(user)

    def _rewired(self, id: str, spec: NodeSpec) -> NodeSpec:
        if not any(link.node in self.gone for _, link in spec.links()):
            return spec
        inputs = {}
        for name, item in spec.inputs.items():
            if isinstance(item, Link):
                value = self._follow(item)
                if value is not ABSENT:
                    inputs[name] = value
                else:
                    self.result.cut[id, name] = item.node
            elif isinstance(item, list) and any(isinstance(part, Link) for part in item):
                parts = [self._follow(part) if isinstance(part, Link) else part for part in item]
                inputs[name] = [part for part in parts if part is not ABSENT and not _is_linked_list(part)]
            else:
                inputs[name] = item
        return spec.model_copy(update={"inputs": inputs})

    def _follow(self, link: Link) -> Any:
        item = self._chase(link)
        if isinstance(item, list) and any(part.node in self.gone for part in links_in(item)):
            parts = [self._chase(part) if isinstance(part, Link) else part for part in item]
            return [part for part in parts if part is not ABSENT and not _is_linked_list(part)]
        return item

    def _chase(self, link: Link) -> Any:
        item = self.result.chase(link)
        return ABSENT if isinstance(item, Link) and item.node in self.gone else item

    def _use_passes(self, use: Use) -> Iterator[tuple[Link, Any]]:
        inputs = []
        for name, item in use.given.items():
            fed = [(self.types.get(id), input) for id, input in use.feeds.get(name, ())]
            ports = [node_type.inputs[input] for node_type, input in fed if node_type and input in node_type.inputs]
            if ports and item is not ABSENT:
                inputs.append((ports[0].type, item))
        first = True
        for item in use.outputs.values():
            node_type = self.types.get(item.node) if isinstance(item, Link) else None
            if node_type is not None and (not item.output or item.output in node_type.outputs) and node_type.outputs:
                output = node_type.outputs[item.output or next(iter(node_type.outputs))]
                passed = _matching(output.type, inputs)
                yield item, passed
                if first:  # links may name it or not
                    yield Link(item.node, None if item.output else output.name), passed
            first = False


def _node_passes(spec: NodeSpec, node_type: NodeType) -> Iterator[tuple[str | None, Any]]:
    inputs = [(port.type, spec.inputs[name]) for name, port in node_type.inputs.items() if name in spec.inputs]
    for position, (name, output) in enumerate(node_type.outputs.items()):
        item = _matching(output.type, inputs)
        yield name, item
        if position == 0:
            yield None, item


def _matching(wanted: Any, inputs: list[tuple[Any, Any]]) -> Any:
    """The input to pass on as an output of type `wanted`: of the very type before one that fits, links before data."""
    linked = [(tp, item) for tp, item in inputs if any(links_in(item))]
    given = [*linked, *((tp, item) for tp, item in inputs if not any(links_in(item)) and item is not None)]
    same = [item for tp, item in given if tp == wanted or describe(tp) == describe(wanted)]
    if same:
        return same[0]
    fits = [
        item
        for tp, item in given
        if tp is not Any
        and wanted is not Any
        and not has_typevar(tp)
        and not has_typevar(wanted)
        and accepts(wanted, tp)
    ]
    return fits[0] if fits else ABSENT


def _around(id: str) -> Iterator[str]:
    """The uses that a node stands in."""
    at = id.find("/")
    while at >= 0:
        yield id[:at]
        at = id.find("/", at + 1)


def _is_linked_list(item: Any) -> bool:
    return isinstance(item, list) and any(links_in(item))
