"""What a workflow is: the document, the Python builder, checks of form, PNG text and pictures. No torch here."""

from graphs.builder import Graph, Handle, current_graph
from graphs.document import Definition, Link, NodeSpec, Parameter, Workflow
from graphs.form import check_form
from graphs.limits import LIMITS, Limits
from graphs.problems import Problem, WorkflowError, near

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
