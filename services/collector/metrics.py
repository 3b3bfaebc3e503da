"""What the collector counts for Prometheus; sources go by their names, and nothing tells of a user."""

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
            "Responses to requests with events; code is ok or the error's code.",
            ["code"],
            registry=self._registry,
        )
        self.events = Counter(
            "collector_events_published", "Events that Pub/Sub took.", ["source"], registry=self._registry
        )
        self.dead_letters = Counter(
            "collector_events_dead_lettered",
            "Events that broke a rule; Pub/Sub took them as dead letters.",
            ["source", "reason"],
            registry=self._registry,
        )
        self.flagged = Counter(
            "collector_events_flagged",
            "Published events against which the tracking plan has something.",
            ["source"],
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "collector_request_seconds",
            "From a request's arrival to its response, Pub/Sub's word included.",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch_pending(self, topic: str, pending_bytes: Callable[[], int]) -> None:
        """Shows how much waits for Pub/Sub's word."""
        gauge = Gauge(
            f"collector_{topic}_pending_bytes",
            f"Bytes of {topic} that wait for Pub/Sub's word.",
            registry=self._registry,
        )
        gauge.set_function(pending_bytes)

    def exposition(self) -> bytes:
        """Returns all of it, as Prometheus reads it."""
        return generate_latest(self._registry)
