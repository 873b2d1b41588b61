"""A graph or a workflow as the value of a notebook's cell: a picture, or why there is none and how to get it."""

from __future__ import annotations

from weft.graphs.builder import Graph
from weft.graphs.document import NodeSpec, Workflow
from weft.graphs.draw import draw
from weft.graphs.showing import Bundle, describe, safe

MOST_NODES = 300
"""A picture of more is too wide to read in a cell."""
MOST_LINKS = 3_000
MOST_INPUTS = 10_000
MOST_CHARACTERS = 2_000_000
"""Of the SVG: a notebook keeps it in its file."""

SVG, HTML = "image/svg+xml", "text/html"


def picture(item: Graph | Workflow) -> Bundle:
    """An SVG of the workflow, or of what a graph has recorded so far; a few words of HTML where it would be too big."""
    workflow = recorded(item) if isinstance(item, Graph) else item
    nodes, inputs = len(workflow.nodes), sum(len(spec.inputs) for spec in workflow.nodes.values())
    if nodes <= MOST_NODES and inputs <= MOST_INPUTS and sum(1 for _ in workflow.links()) <= MOST_LINKS:
        svg = draw(workflow, describe(workflow))
        if len(svg) <= MOST_CHARACTERS:
            return {SVG: svg}
    return {HTML: too_big(item, nodes)}


def recorded(graph: Graph) -> Workflow:
    """What a graph has recorded, with a node for each value that it was given."""
    workflow = graph.workflow(given=True)
    given = {id: NodeSpec(type=f"given: {type(value).__name__}") for id, value in graph.values.items()}
    return workflow.with_nodes({**given, **workflow.nodes}).with_declarations(graph.declarations) if given else workflow


def too_big(item: Graph | Workflow, nodes: int) -> str:
    """How large it is, and how to see it."""
    document = "graph.workflow()" if isinstance(item, Graph) else "workflow"
    title = f"<b>{safe(item.title[:200])}</b>: " if item.title else ""
    return (
        f"<div>{title}{nodes:,} nodes are too many for a picture here. This writes it to a file:"
        f"<pre>from pathlib import Path\nfrom weft.graphs.draw import draw\n"
        f'Path("workflow.svg").write_text(draw({document}), "utf-8")</pre></div>'
    )
