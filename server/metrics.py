"""What the server counts about itself, for Prometheus: `Metrics` has a function for each thing that happens.

Labels hold words from small sets alone (states, tiers, templates of routes), never ids, paths or prompts. A label whose
words come from outside, such as types of nodes, has a bound, beyond which everything counts as "other".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
MAX_NODE_TYPES = 40
MAX_ROUTES = 60
MAX_DEVICES = 16
MAX_WORDS = 12
"""Different words of any other label."""
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600)
_HTTP_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Words:
    """The first `most` different words as they are, every later one as "other"."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()

    def __call__(self, word: str) -> str:
        if word not in self._seen:
            if len(self._seen) >= self._most or len(word) > 100:
                return OTHER
            self._seen.add(word)
        return word


class Metrics:
    """Counters, gauges and histograms of one server, in a registry of their own.

    Args:
        now: seconds since 1970; what "oldest" is measured against.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        # A second series for each counter that says since when it counts, which nobody asks for.
        disable_created_metrics()
        self.registry = registry = CollectorRegistry()
        self._now = now
        self._oldest: float | None = None
        self._words: dict[str, _Words] = {}
        self._jobs = Counter("weft_jobs", "Jobs that ended, by how.", ["state"], registry=registry)
        self._depth = Gauge("weft_job_queue_depth", "Jobs that wait, by priority.", ["priority"], registry=registry)
        self._running = Gauge("weft_jobs_running", "Jobs that run.", registry=registry)
        age = Gauge("weft_job_queue_oldest_age_seconds", "How long the oldest job has waited.", registry=registry)
        age.set_function(self._age)
        self._wait = Histogram("weft_job_wait_seconds", "From queued to started.", buckets=_SECONDS, registry=registry)
        self._run = Histogram("weft_job_run_seconds", "From started to ended.", buckets=_SECONDS, registry=registry)
        # A summary: buckets for each type of node would be many more series than they are worth.
        self._node = Summary(
            "weft_node_run_seconds", "Nodes that ran, by type and device.", ["type", "device"], registry=registry
        )
        self._node_failures = Counter("weft_node_failures", "Nodes that failed, by type.", ["type"], registry=registry)
        self._cache = Counter(
            "weft_node_cache_requests",
            "Results that were looked up in the cache: hits by tier, and misses.",
            ["result", "tier"],
            registry=registry,
        )
        self._resumed = Counter("weft_node_steps_resumed", "Steps taken from earlier runs.", registry=registry)
        self._cache_bytes = Gauge("weft_cache_bytes", "Size of the cache, by tier.", ["tier"], registry=registry)
        self._load = Summary("weft_model_load_seconds", "Models loaded, by kind.", ["kind"], registry=registry)
        self._resident = Gauge("weft_models_resident", "Models in memory, by device.", ["device"], registry=registry)
        self._memory = Gauge(
            "weft_device_memory_bytes", "Memory of devices: total, used.", ["device", "kind"], registry=registry
        )
        self._workers = Gauge("weft_workers", "Worker processes, by what they do.", ["state"], registry=registry)
        self._deaths = Counter(
            "weft_worker_deaths", "Worker processes that died, by why.", ["reason"], registry=registry
        )
        self._retries = Counter("weft_retries", "Jobs and nodes that ran again, by why.", ["reason"], registry=registry)
        self._clients = Gauge("weft_ws_clients", "Websocket clients.", registry=registry)
        self._dropped = Counter(
            "weft_ws_dropped", "Events and clients given up for being slow.", ["kind"], registry=registry
        )
        self._http = Counter(
            "weft_http_requests", "Requests by route, not by path.", ["method", "route", "code"], registry=registry
        )
        self._http_seconds = Histogram(
            "weft_http_request_seconds", "How long answers took.", buckets=_HTTP_SECONDS, registry=registry
        )
        self._store = Summary("weft_store_seconds", "Transactions of the store.", ["op"], registry=registry)
        build = Gauge("weft_build_info", "The version that runs; always 1.", ["version"], registry=registry)
        build.labels(_version()).set(1)
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """Everything in Prometheus' text form, of the type `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _age(self) -> float:
        return 0.0 if self._oldest is None else max(0.0, self._now() - self._oldest)

    def _word(self, label: str, word: Any, most: int = MAX_WORDS) -> str:
        return self._words.setdefault(label, _Words(most))(str(word))

    def queue(self, waiting: Mapping[int, int], oldest: float | None, running: int) -> None:
        """The queue as it is now.

        Args:
            waiting: how many jobs wait, by priority.
            oldest: when the one that waits longest was accepted, in seconds since 1970; None when none waits.
            running: how many run.
        """
        depths = {"low": 0, "normal": 0, "high": 0}
        for priority, count in waiting.items():
            depths["low" if priority < 0 else "high" if priority > 0 else "normal"] += count
        for name, count in depths.items():
            self._depth.labels(name).set(count)
        self._running.set(running)
        self._oldest = oldest

    def job_started(self, waited: float) -> None:
        """A job started that had waited so many seconds."""
        self._wait.observe(_seconds(waited))

    def job_ended(self, state: str, seconds: float | None) -> None:
        """A job ended as "done", "failed" or "cancelled", after so many seconds; None when it never started."""
        self._jobs.labels(self._word("state", state)).inc()
        if seconds is not None:
            self._run.observe(_seconds(seconds))

    def node_event(self, event: Mapping[str, Any], type: str, device: str = "") -> None:
        """Count an event of a node, in the engine's JSON form.

        Args:
            event: other events than those that count are let pass.
            type: the node's type.
            device: where it ran, such as "cpu" or "cuda:0".
        """
        match event.get("event"):
            case "node_finished":
                labels = self._word("type", type, MAX_NODE_TYPES), self._word("device", device, MAX_DEVICES)
                self._node.labels(*labels).observe(_seconds(event.get("seconds", 0.0)))
                self._cache.labels("miss", "").inc()
            case "node_cached":
                self._cache.labels("hit", self._word("tier", event.get("tier"))).inc()
            case "node_failed":
                self._node_failures.labels(self._word("type", type, MAX_NODE_TYPES)).inc()
            case "node_retried":
                self._retries.labels("node_failed").inc()
            case "node_resumed":
                self._resumed.inc(_seconds(event.get("steps", 0)))

    def cache_bytes(self, tier: str, size: int) -> None:
        """How many bytes a tier of the cache holds."""
        self._cache_bytes.labels(self._word("tier", tier)).set(size)

    def model_loaded(self, kind: str, seconds: float) -> None:
        """A model of a kind ("model", "lora" ...) was loaded in so many seconds."""
        self._load.labels(self._word("kind", kind)).observe(_seconds(seconds))

    def models_resident(self, counts: Mapping[str, int]) -> None:
        """How many models are in memory, by device; a device that is not named has none."""
        self._by_device(self._resident, counts)

    def device_memory(self, device: str, total: int, used: int) -> None:
        """Bytes of a device's memory."""
        name = self._word("device", device, MAX_DEVICES)
        self._memory.labels(name, "total").set(total)
        self._memory.labels(name, "used").set(used)

    def _by_device(self, gauge: Gauge, counts: Mapping[str, int]) -> None:
        summed: dict[str, int] = {}
        for device, count in counts.items():
            name = self._word("device", device, MAX_DEVICES)
            summed[name] = summed.get(name, 0) + count
        gauge.clear()
        for name, count in summed.items():
            gauge.labels(name).set(count)

    def workers(self, counts: Mapping[str, int]) -> None:
        """How many worker processes there are, by state ("idle", "busy", "starting")."""
        self._workers.clear()
        for state, count in counts.items():
            self._workers.labels(self._word("worker", state)).inc(count)

    def worker_died(self, reason: str) -> None:
        """A worker process ended that should not have: "died", "hung", "memory", "killed"."""
        self._deaths.labels(self._word("reason", reason)).inc()

    def retried(self, reason: str) -> None:
        """A job went back to the queue."""
        self._retries.labels(self._word("reason", reason)).inc()

    def client_came(self) -> None:
        """A websocket client was accepted."""
        self._clients.inc()

    def client_left(self) -> None:
        """A websocket client has gone."""
        self._clients.dec()

    def dropped(self, kind: str, count: int = 1) -> None:
        """A slow client did not get something ("progress", "preview"), or was closed ("client")."""
        self._dropped.labels(self._word("dropped", kind)).inc(count)

    def http(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """A request was answered.

        Args:
            route: the template, such as "/api/v1/jobs/{id}"; "" for a path that no route has.
            status: 0 when the client went before it was answered.
            seconds: None for a websocket, whose time is how long somebody stayed.
        """
        method = method if method in _METHODS else OTHER
        self._http.labels(method, self._word("route", route, MAX_ROUTES), self._word("code", status, 30)).inc()
        if seconds is not None:
            self._http_seconds.observe(_seconds(seconds))

    def stored(self, op: str, seconds: float) -> None:
        """A transaction of the store ("put", "claim", "end" ...) took so many seconds."""
        self._store.labels(self._word("op", op, 20)).observe(_seconds(seconds))


def _seconds(value: Any) -> float:
    """A duration, of a clock that may jump or a worker that may say anything: finite, never negative."""
    number = float(value) if isinstance(value, (int, float)) else 0.0
    return max(0.0, number) if math.isfinite(number) else 0.0


def _version() -> str:
    try:
        return version("weft")
    except PackageNotFoundError:
        return "unknown"
