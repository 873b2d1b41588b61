"""What an event says that is worth a line."""

from __future__ import annotations

from weft.engine.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobFinished,
    NodeFinished,
    NodeResumed,
    NodeSkipped,
)

SLOW = 0.5
"""Where lines are all there is, nodes that took fewer seconds are not worth one."""


def line(event: Event) -> str:
    """What is said where there are no bars: of slow nodes, and at the end; "" for most events."""
    if isinstance(event, NodeFinished) and event.seconds >= SLOW:
        imports = f", {event.imports:.1f} s of it for imports" if event.imports >= SLOW else ""
        return f"{event.node}: {event.seconds:.1f} s{imports}"
    if isinstance(event, NodeResumed):
        return f"{event.node}: {event.steps} of {event.total} steps reused"
    return aside(event) or summary(event)


def aside(event: Event) -> str:
    """What an event says that is worth a line of its own, beside what is shown of its node; "" for most."""
    # What is missing after a failure is told in the end, with the failure. That a node is called again, the log says.
    if isinstance(event, NodeSkipped) and not event.failed and event.item is None:
        return f"{event.node}: skipped, {event.reason}"
    return ""


def summary(event: Event) -> str:
    """How a run went, in a line; "" for an event that is not its end."""
    if isinstance(event, JobFinished):
        reused = f", {event.reused} steps reused" if event.reused else ""
        return f"done in {event.seconds:.1f} s: {event.ran} ran, {event.cached} cached{reused}"
    if isinstance(event, JobFailed):
        return f"failed at {event.error.node}" if event.error.node else "failed"
    return "cancelled" if isinstance(event, JobCancelled) else ""
