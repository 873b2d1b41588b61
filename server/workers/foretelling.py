"""What a job would do and why, as clients are told of it.

A server takes the files that a job wrote into its file store and clears the folder that they were in, which is another
one for each worker. So nodes that write files run in each job, and the folder is no news for anybody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.engine import Cache, Catalogue
    from weft.graphs.document import Workflow
    from weft.server.workers.home import Home

WRITES = "each job writes its files anew"


def plan_of(
    workflow: Workflow, targets: list[str] | None, home: Home, catalogue: Catalogue, cache: Cache
) -> dict[str, Any]:
    """What a job would do now, as JSON data.

    Raises:
        WorkflowError: the workflow has errors. NodeError: something about a node cannot be worked out.
    """
    from weft.engine import forecast

    said = forecast(workflow, targets, cache=cache, catalogue=catalogue, roots=_roots(home), out=home.out)
    writing = []
    for id, node in said.nodes.items():
        if node.will == "run" and _writes(workflow, id, catalogue):
            changes = tuple(change for change in node.why if change.what != "folder")
            reason = node.reason or ("" if changes else WRITES)
            said.nodes[id] = replace(node, why=changes, reason=reason)
            writing.append(id)
    told = said.to_dict()
    for id in writing:
        told["nodes"][id]["writes"] = True
    return told


def why_of(workflow: Workflow, node: str, home: Home, catalogue: Catalogue, cache: Cache) -> dict[str, Any]:
    """Why a node would run, or had to, as JSON data.

    Raises:
        WorkflowError: the workflow has errors, or no such node.
    """
    from weft.engine import why

    found = why(workflow, node, cache=cache, catalogue=catalogue, roots=_roots(home), out=home.out)
    causes = [cause for cause in found.causes if cause.change.what != "folder"]
    text = ""
    if found.state in ("changed", "gone") and not causes and _writes(workflow, node, catalogue):
        found, text = replace(found, state="always", files=[]), f"{node} has to run: {WRITES}."
    found = replace(found, causes=causes)
    told = [{**cause.to_dict(), "text": str(cause)} for cause in causes]
    return {**found.to_dict(), "causes": told, "text": text or found.text}


def _roots(home: Home) -> list[str] | None:
    return None if home.roots is None else list(home.roots)


def _writes(workflow: Workflow, id: str, catalogue: Catalogue) -> bool:
    """Whether a node writes files; one inside a definition is `use/node`."""
    nodes, type = workflow.nodes, ""
    for name in id.split("/"):
        if name not in nodes:
            return False
        type = nodes[name].type
        nodes = workflow.definitions[type].nodes if type in workflow.definitions else {}
    known = catalogue.get(type)
    return known is not None and known.side_files
