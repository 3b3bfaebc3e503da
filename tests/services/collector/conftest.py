"""Collectors in processes of their own, and a Pub/Sub that keeps nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.collector.collector_process import CollectorProcess
from tests.services.collector.pubsub_server import PubSubServer
from tests.waiting import until

StartCollector = Callable[..., CollectorProcess]


@pytest.fixture
def pubsub() -> Iterator[PubSubServer]:
    with PubSubServer() as server:
        yield server


@pytest.fixture
def start_collector(tmp_path: Path, pubsub: PubSubServer) -> Iterator[StartCollector]:
    """Starts a collector, which ends with the test."""
    started = []
    topics: list[Any] = [SimpleNamespace(name=f"projects/p/topics/{name}") for name in ("events", "letters")]

    def start(*flags: str) -> CollectorProcess:
        collector = CollectorProcess(tmp_path, *topics, *flags, emulator=pubsub.host)
        started.append(collector)
        until(lambda: collector.client.get("/readyz").status_code == 200, "word that it is ready")
        return collector

    yield start
    for process in started:
        process.kill()
