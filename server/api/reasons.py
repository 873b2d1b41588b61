"""Why the nodes of a job ran, by its events: which input, version or file was other than when they ran last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weft.engine.planning.parts import Change

_MOST_CAUSES = 32
"""Causes of one node that are told: many nodes may lie above it."""
_CACHED = {
    "memory": "did not run: its result was in memory.",
    "disk": "did not run: its result was in the cache folder.",
    "unneeded": "did not run: what uses it was cached.",
}


def reasons(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By node `{"ran", "text", "causes"}`, in the order of the events.

    A cause is a change as `node_started` has it, with the node that it was at, the nodes on the way down from there
    (`through`) and `text`. A change of what another node gives is followed to that node's own changes.
    """
    changed: dict[str, list[Change]] = {}
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        node = str(event.get("node"))
        if event["event"] == "node_started":
            # Each worker has a folder for files of its own, and nobody who asks chose one.
            changes = map(Change.of, event.get("why") or ())
            changed[node] = [change for change in changes if change.what != "folder"]
            found[node] = {"ran": True, "text": "", "causes": []}
        elif event["event"] == "node_cached" and node not in found:
            found[node] = {"ran": False, "text": f"{node} {_CACHED[event['tier']]}", "causes": []}
        elif event["event"] == "node_skipped" and node not in found:
            found[node] = {"ran": False, "text": f"{node} did not run: {event['reason']}", "causes": []}
    for node in changed:
        causes = _causes(node, changed)
        lines = [f"  {cause['text']}" for cause in causes]
        why = "ran again:" if causes else "ran: it never ran before as far as is known, or its result was gone."
        found[node] |= {"text": "\n".join([f"{node} {why}", *lines]), "causes": causes}
    return found


def _causes(node: str, changed: Mapping[str, list[Change]]) -> list[dict[str, Any]]:
    causes: list[dict[str, Any]] = []
    stack: list[tuple[str, Change, tuple[str, ...]]] = [(node, change, ()) for change in reversed(changed[node])]
    seen = {node}
    while stack and len(causes) < _MOST_CAUSES:
        at, change, below = stack.pop()
        source = change.source
        if source is not None and changed.get(source):
            if source not in seen:
                seen.add(source)
                stack += [(source, more, (at, *below)) for more in reversed(changed[source])]
            continue
        way = f" (through {', '.join(below)})" if below else ""
        causes.append({"node": at, **change.to_dict(), "through": list(below), "text": f"{at}: {change}{way}"})
    return causes
