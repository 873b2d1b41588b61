"""What a workflow is: the document, the Python builder, checks of form, PNG text and pictures. No torch here."""

from weft.graphs.builder import Graph, Handle, current_graph
from weft.graphs.document import Definition, Link, NodeSpec, Parameter, Workflow
from weft.graphs.form import check_form
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.problems import Problem, WorkflowError, near
from weft.graphs.pythontext import python_source
from weft.graphs.showing import Bundle, shown_by

__all__ = [
    "LIMITS",
    "Definition",
    "Graph",
    "Handle",
    "Limits",
    "Link",
    "NodeSpec",
    "Parameter",
    "Problem",
    "Workflow",
    "WorkflowError",
    "check_form",
    "current_graph",
    "near",
    "python_source",
]


def _picture(item: Graph | Workflow) -> Bundle:
    """What a notebook shows of a graph or a workflow. What draws is above what is drawn, and loads when it is asked."""
    from weft.graphs.notebook import picture

    return picture(item)


shown_by(_picture)
