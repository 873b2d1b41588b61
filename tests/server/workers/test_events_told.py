"""What a worker tells of a job: nothing has finished before its result is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.engine.events import NodeFinished
from weft.server.workers.running import Running


def test_results_are_on_disk_before_their_nodes_are_said_to_have_finished() -> None:
    order: list[str] = []

    def relay(kind: str, data: Mapping[str, Any], body: bytes) -> None:
        order.append(kind)

    with Running(relay, lambda nodes: None, lambda: order.append("settled")) as events:
        events.take(NodeFinished(seq=1, time=0.0, job="j", node="a", seconds=0.1))
        events.flush()
    assert order == ["settled", "weft.events"]
