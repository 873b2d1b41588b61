"""What a workflow is: the document, the Python builder, checks of form, PNG text and pictures. No torch here."""

from weft.graphs.builder import Graph, Handle, current_graph
from weft.graphs.document import Definition, Link, NodeSpec, Parameter, Workflow
from weft.graphs.form import check_form
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.problems import Problem, WorkflowError, near

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
]
