"""Each node as a box of rows: links in at the left, outputs at the right, values below."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from weft.graphs.document import NodeSpec, Workflow
from weft.graphs.drawing import palette, text
from weft.graphs.drawing.marks import Mark, Marks
from weft.graphs.drawing.shapes import Describe, NodeShape, PortShape
from weft.graphs.inputs import Link, links_in, write_input

TITLE, SMALL, BODY = 13.0, 10.5, 11.5
"""Font sizes in pixels."""
PAD, HEADER, ROW, LINE, GAP = 14.0, 42.0, 20.0, 15.0, 7.0
NARROWEST, WIDEST = 148.0, 270.0
_MODES = {None: "", "mute": " (muted)", "bypass": " (bypassed)"}
_LINES = 3  # of a long text


@dataclass(slots=True)
class Port:
    """A dot on a box's edge. `y` counts from the box's top."""

    name: str
    type: str
    y: float = 0.0
    many: bool = False
    missing: bool = False


@dataclass(slots=True)
class Value:
    """A literal: on one row, or as lines below its name. `y` counts from the box's top to the middle of its row."""

    name: str
    lines: list[str]
    inline: bool
    y: float = 0.0
    settable: bool = False
    wrong: bool = False


@dataclass(slots=True)
class Wire:
    """A link between two boxes: from an output's port to an input's port."""

    source: Box
    output: Port
    target: Box
    input: Port


@dataclass(slots=True, eq=False)
class Box:
    """A node as it is shown. Sizes in pixels."""

    id: str
    type: str
    inputs: dict[str, Port] = field(default_factory=dict)
    outputs: dict[str, Port] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0
    mark: Mark | None = None
    share: float = 0.0
    """Its time as a part of the longest one's."""

    @property
    def colour(self) -> str:
        """That of the first output: nodes that make the same look the same."""
        return palette.type_colour(next(iter(self.outputs.values())).type if self.outputs else "")


def make_boxes(
    workflow: Workflow, describe: Describe | None, marks: Marks | None = None
) -> tuple[dict[str, Box], list[Wire]]:
    """Boxes by node id and the wires between them, sized but not placed."""
    shapes = {node.type: _shape(node.type, workflow, describe) for node in workflow.nodes.values()}
    settable = {parameter.input for parameter in workflow.parameters.values()}
    boxes = {
        id: Box(id, node.type + (f" v{node.version}" if node.version else "") + _MODES[node.mode])
        for id, node in workflow.nodes.items()
    }
    for id, node in workflow.nodes.items():
        shape = shapes[node.type]
        _add_ports(boxes[id], node, shape)
        boxes[id].values += _values(id, node, workflow, settable)
    wires = list(_wires(workflow, boxes))
    longest = max((mark.seconds or 0.0 for mark in marks.values()), default=0.0) if marks else 0.0
    for box in boxes.values():
        if marks and (mark := marks.get(box.id)) is not None:
            box.mark, box.share = mark, (mark.seconds or 0.0) / longest if longest else 0.0
        _set_size(box)
    return boxes, wires


def _shape(name: str, workflow: Workflow, describe: Describe | None) -> NodeShape | None:
    """A type's ports, be it installed or a definition of the document."""
    definition = workflow.definitions.get(name)
    if definition is None:
        return describe(name) if describe else None
    inputs = [
        PortShape(key, item.type or "", many=(item.type or "").startswith("list"))
        for key, item in definition.inputs.items()
    ]
    return NodeShape(tuple(inputs), tuple(PortShape(key, item.type or "") for key, item in definition.outputs.items()))


def _add_ports(box: Box, node: NodeSpec, shape: NodeShape | None) -> None:
    known = {port.name: port for port in shape.inputs} if shape else {}
    linked = [name for name, value in node.inputs.items() if any(links_in(value))]
    for name in sorted(linked, key=list(known).index) if all(name in known for name in linked) else linked:
        port = known.get(name, PortShape(name, ""))
        many = port.many or isinstance(node.inputs[name], list)
        box.inputs[name] = Port(name, port.type, many=many)
    for name, port in known.items():
        if port.required and name not in node.inputs:
            box.inputs[name] = Port(name, port.type, many=port.many, missing=True)
    if shape:
        box.outputs = {port.name: Port(port.name, port.type) for port in shape.outputs}


def _values(id: str, node: NodeSpec, workflow: Workflow, settable: set[str]) -> Iterator[Value]:
    for name, value in node.inputs.items():
        for link in links_in(value):
            if link.node not in workflow.nodes:
                yield Value(name, [str(link)], inline=True, wrong=True)
        literals = [item for item in value if not isinstance(item, Link)] if isinstance(value, list) else [value]
        if isinstance(value, Link) or (isinstance(value, list) and value and not literals):
            continue
        shown = _shown(literals if isinstance(value, list) else value)
        room = WIDEST - 2 * PAD - text.width(name, BODY) - 12
        inline = text.width(shown, BODY) <= room or " " not in shown
        lines = [text.cut(shown, room, BODY)] if inline else text.wrap(shown, WIDEST - 2 * PAD, BODY, _LINES)
        yield Value(name, lines, inline, settable=f"{id}.{name}" in settable)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value[:1000].split()) or '""'
    if isinstance(value, list):
        value = value[:50]
    try:
        return json.dumps(write_input(value), ensure_ascii=False)
    except (TypeError, ValueError):
        return f"<{type(value).__name__}>"


def _wires(workflow: Workflow, boxes: dict[str, Box]) -> Iterator[Wire]:
    for id, name, link in workflow.links():
        source = boxes.get(link.node)
        if source is None:
            continue
        input = boxes[id].inputs[name]
        output = _output(source, link, input)
        if not input.type:
            input.type = output.type
        yield Wire(source, output, boxes[id], input)


def _output(source: Box, link: Link, input: Port) -> Port:
    """The port that a link leaves from; of a type that is not known, the one that the link says there is."""
    name = link.output if link.output is not None else next(iter(source.outputs), "")
    if name not in source.outputs:
        # Names tell types apart well enough: an output "latents" and an input "latents" have one colour.
        source.outputs[name] = Port(name, link.output or input.type or input.name)
    return source.outputs[name]


def _set_size(box: Box) -> None:
    inputs, outputs = list(box.inputs.values()), list(box.outputs.values())
    needs = [text.width(box.id, TITLE, bold=True), text.width(box.type, SMALL)]
    if box.mark is not None:
        needs[1] += text.width(box.mark.text, SMALL, bold=True) + 16
    for index in range(max(len(inputs), len(outputs))):
        names = [ports[index].name for ports in (inputs, outputs) if index < len(ports)]
        needs.append(sum(text.width(name, BODY) for name in names) + (24 if len(names) == 2 else 0))
    for value in box.values:
        inline = text.width(value.name, BODY) + 12 if value.inline else 0
        needs.append(inline + max(text.width(line, BODY) for line in value.lines))
    box.width = round(min(max(NARROWEST, *needs, 0) + 2 * PAD, WIDEST))
    for ports in (inputs, outputs):
        for index, port in enumerate(ports):
            port.y = HEADER + GAP + ROW * (index + 0.5)
    y = HEADER + GAP + ROW * max(len(inputs), len(outputs))
    if box.values and (inputs or outputs):
        y += GAP
    for value in box.values:
        value.y = y + ROW / 2
        y += ROW + (0 if value.inline else LINE * len(value.lines))
    box.height = round(y + GAP)
