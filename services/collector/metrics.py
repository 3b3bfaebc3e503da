"""The collector's metrics for Prometheus. Labels contain names of sources, and no write keys or user data."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one collector."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.responses = Counter(
            "collector_responses",
            "Responses to requests with events, by code: ok or the error's code.",
            ["code"],
            registry=self._registry,
        )
        self.requests_without_route = Counter(
            "collector_requests_without_route",
            "Requests that no route takes, by HTTP status: 404, no such path; 405, another method.",
            ["status"],
            registry=self._registry,
        )
        self.events = Counter(
            "collector_events_published", "Events that Pub/Sub accepted.", ["source"], registry=self._registry
        )
        self.dead_letters = Counter(
            "collector_events_dead_lettered",
            "Invalid events that Pub/Sub accepted as dead letters.",
            ["source", "reason"],
            registry=self._registry,
        )
        self.flagged = Counter(
            "collector_events_flagged",
            "Published events that violate the tracking plan.",
            ["source"],
            registry=self._registry,
        )
        self.ignored_ids = Counter(
            "collector_ids_ignored",
            "Values of userId and anonymousId that stand for no id, such as undefined.",
            ["source"],
            registry=self._registry,
        )
        self.repaired_times = Counter(
            "collector_times_repaired",
            "Events whose times the collector did not take as they were, by repair.",
            ["source", "repair"],
            registry=self._registry,
        )
        self.closed_connections = Counter(
            "collector_connections_closed",
            "Connections that the collector closed, by reason: slow_head, large_head, crowded, pipelined or"
            " unread_response.",
            ["reason"],
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "collector_request_seconds",
            "Seconds from a request's arrival to its response, including the wait for Pub/Sub.",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch_pending(self, topic: str, pending_bytes: Callable[[], int]) -> None:
        """Adds a gauge of the bytes that wait for Pub/Sub's acknowledgement."""
        gauge = Gauge(
            f"collector_{topic}_pending_bytes",
            f"Bytes of {topic} that wait for Pub/Sub's acknowledgement.",
            registry=self._registry,
        )
        gauge.set_function(pending_bytes)

    def watch_memory(self, held_bytes: Callable[[], int], arriving_bytes: Callable[[], int]) -> None:
        """Adds gauges of the memory that requests take."""
        for name, description, value in (
            ("collector_held_memory_bytes", "Memory of requests whose events wait for Pub/Sub.", held_bytes),
            ("collector_arriving_bytes", "Bytes of bodies that have not arrived whole.", arriving_bytes),
        ):
            Gauge(name, description, registry=self._registry).set_function(value)

    def exposition(self) -> bytes:
        """Returns all metrics in Prometheus's text format."""
        return generate_latest(self._registry)
