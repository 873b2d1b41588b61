"""What is counted, and that it is never counted by words of others."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from weft.engine.events import JobStarted, NodeCached, NodeFinished, to_json
from weft.server.metrics import CONTENT_TYPE, MAX_NODE_TYPES, OTHER, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of ours by its name and labels; reading them is also a check of the form."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("weft_")
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, tuple(sorted(labels.items()))))


def run_job(metrics: Metrics, type: str = "denoise", state: str = "done", device: str = "cuda:0") -> None:
    metrics.job_started(0.5)
    finished = NodeFinished(seq=1, time=0.0, job="j", node="n", seconds=2.0)
    metrics.node_event(to_json(finished), type, device)
    metrics.node_event(to_json(NodeCached(seq=2, time=0.0, job="j", node="m", tier="disk")), type)
    metrics.job_ended(state, 3.0)


def test_a_job_is_counted_once() -> None:
    metrics = Metrics()
    run_job(metrics)
    run_job(metrics, state="failed")
    metrics.job_ended("cancelled", None)
    assert [value(metrics, "weft_jobs_total", state=state) for state in ("done", "failed", "cancelled")] == [1, 1, 1]
    assert value(metrics, "weft_job_wait_seconds_count") == 2
    assert value(metrics, "weft_job_wait_seconds_bucket", le="0.3") == 0
    assert value(metrics, "weft_job_wait_seconds_bucket", le="1.0") == 2
    assert value(metrics, "weft_job_run_seconds_sum") == 6, "one that never started has no duration"
    assert value(metrics, "weft_node_run_seconds_sum", type="denoise", device="cuda:0") == 4
    assert value(metrics, "weft_node_cache_requests_total", result="hit", tier="disk") == 2
    assert value(metrics, "weft_node_cache_requests_total", result="miss", tier="") == 2


def test_other_events_are_let_pass() -> None:
    metrics = Metrics()
    before = samples(metrics)
    metrics.node_event(to_json(JobStarted(seq=0, time=0.0, job="j", nodes=3)), "denoise")
    metrics.node_event({}, "denoise")
    assert samples(metrics) == before
    metrics.node_event({"event": "node_failed"}, "denoise")
    metrics.node_event({"event": "node_retried"}, "denoise")
    metrics.node_event({"event": "node_resumed", "steps": 12}, "denoise")
    assert value(metrics, "weft_node_failures_total", type="denoise") == 1
    assert value(metrics, "weft_retries_total", reason="node_failed") == 1
    assert value(metrics, "weft_node_steps_resumed_total") == 12


def test_the_queue_is_as_old_as_its_oldest_job() -> None:
    now = 100.0
    metrics = Metrics(now=lambda: now)
    metrics.queue({0: 3, 5: 1, 7: 1, -2: 4}, oldest=90.0, running=2)
    assert [value(metrics, "weft_job_queue_depth", priority=name) for name in ("low", "normal", "high")] == [4, 3, 2]
    assert value(metrics, "weft_job_queue_oldest_age_seconds") == 10
    now = 130.0
    assert value(metrics, "weft_job_queue_oldest_age_seconds") == 40, "it grows by itself"
    now = 50.0
    assert value(metrics, "weft_job_queue_oldest_age_seconds") == 0, "a clock was put back"
    metrics.queue({}, oldest=None, running=0)
    assert value(metrics, "weft_job_queue_depth", priority="high") == 0
    assert value(metrics, "weft_job_queue_oldest_age_seconds") == 0


def test_what_else_happens() -> None:
    metrics = Metrics()
    metrics.worker_died("hung")
    metrics.retried("worker_died")
    metrics.client_came()
    metrics.client_came()
    metrics.client_left()
    metrics.dropped("preview", 3)
    metrics.model_loaded("lora", 1.5)
    metrics.models_resident({"cuda:0": 2, "cpu": 1})
    metrics.models_resident({"cuda:0": 1})
    metrics.device_memory("cuda:0", 100, 40)
    metrics.cache_bytes("disk", 5)
    metrics.workers({"idle": 1, "busy": 2})
    metrics.stored("claim", 0.001)
    metrics.http("GET", "/api/v1/jobs/{id}", 200, 0.02)
    metrics.http("GET", "/api/v1/ws", 101, None)
    found = samples(metrics)
    assert found["weft_worker_deaths_total", (("reason", "hung"),)] == 1
    assert found["weft_retries_total", (("reason", "worker_died"),)] == 1
    assert found["weft_ws_clients", ()] == 1
    assert found["weft_ws_dropped_total", (("kind", "preview"),)] == 3
    assert found["weft_model_load_seconds_sum", (("kind", "lora"),)] == 1.5
    assert found["weft_models_resident", (("device", "cuda:0"),)] == 1
    assert ("weft_models_resident", (("device", "cpu"),)) not in found, "the last one was put out"
    assert found["weft_device_memory_bytes", (("device", "cuda:0"), ("kind", "used"))] == 40
    assert found["weft_cache_bytes", (("tier", "disk"),)] == 5
    assert found["weft_workers", (("state", "busy"),)] == 2
    assert found["weft_store_seconds_count", (("op", "claim"),)] == 1
    labels = (("code", "200"), ("method", "GET"), ("route", "/api/v1/jobs/{id}"))
    assert found["weft_http_requests_total", labels] == 1
    assert found["weft_http_request_seconds_count", ()] == 1, "how long somebody listens is not how fast we are"
    assert any(name == "weft_build_info" for name, _ in found)


def test_a_thousand_jobs_are_few_series() -> None:
    drawn = random.Random(5)
    metrics = Metrics()
    for number in range(1000):
        run_job(
            metrics,
            f"type{number % 20}",
            drawn.choice(["done", "failed", "cancelled"]),
            drawn.choice(["cpu", "cuda:0"]),
        )
        metrics.http("POST", "/api/v1/jobs", 202, 0.01)
        metrics.http("GET", "/api/v1/jobs/{id}", drawn.choice([200, 404]), 0.01)
    assert len(samples(metrics)) <= 200


def test_words_of_others_make_no_more_series() -> None:
    metrics = Metrics()
    for number in range(3000):
        word = f"word{number}" + "x" * (number % 200)
        metrics.node_event({"event": "node_finished", "seconds": 1}, word, word)
        metrics.node_event({"event": "node_cached", "tier": word}, word)
        metrics.http(word, word, number, 0.1)
        for note in (metrics.worker_died, metrics.retried, metrics.dropped):
            note(word)
        metrics.job_ended(word, 1.0)
        metrics.model_loaded(word, 1.0)
        metrics.device_memory(word, 1, 1)
        metrics.cache_bytes(word, 1)
        metrics.stored(word, 1.0)
    metrics.models_resident({f"word{number}": 1 for number in range(1000)})
    metrics.workers({f"word{number}": 1 for number in range(1000)})
    found = samples(metrics)
    assert len(found) < 1500
    types = {dict(labels)["type"] for name, labels in found if name == "weft_node_run_seconds_count"}
    assert len(types) == MAX_NODE_TYPES + 1
    assert OTHER in types
    assert sum(count for (name, _), count in found.items() if name == "weft_node_run_seconds_count") == 3000


def test_a_long_word_is_none() -> None:
    metrics = Metrics()
    metrics.node_event({"event": "node_failed"}, "x" * 101)
    metrics.node_event({"event": "node_failed"}, "x" * 100)
    assert value(metrics, "weft_node_failures_total", type=OTHER) == 1
    assert value(metrics, "weft_node_failures_total", type="x" * 100) == 1


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, "x", None])
def test_a_clock_that_jumps_breaks_no_sum(seconds: Any) -> None:
    metrics = Metrics()
    metrics.job_started(seconds)
    metrics.node_event({"event": "node_finished", "seconds": seconds}, "a")
    assert value(metrics, "weft_job_wait_seconds_sum") == 0
    assert value(metrics, "weft_node_run_seconds_sum", type="a", device="") == 0


def test_two_servers_in_a_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.client_came()
    assert value(other, "weft_ws_clients") == 0
    assert CONTENT_TYPE.startswith("text/plain")
    assert b"process_resident_memory_bytes" in one.text()
    assert b"_created" not in one.text()
