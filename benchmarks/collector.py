"""The cost of the collector: HTTP requests with events, to the Pub/Sub emulator."""

import base64
import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from google.cloud import pubsub_v1

from benchmarks.data import ROOT
from benchmarks.http_load import Load, LoadResult, load
from benchmarks.live import environment
from benchmarks.results import Figure, figure
from local.pubsub_emulator import PubSubEmulator, free_port
from segmentation.timestamps import format_timestamp

BATCH_EVENTS = 100
BATCHED_EVENTS_PER_SECOND = 5_000
SINGLE_EVENTS_PER_SECOND = 1_000
MAX_BATCHED_EVENTS = 50_000
MAX_SINGLE_EVENTS = 10_000
"""The limits keep a round at about 10 s."""
MAX_P99_MS = 50
MAX_GROWTH = 1.1
_CONNECTIONS = 64
_BODIES = 20
_WRITE_KEY = "local-server-write-key"
_EVENTS_TOPIC = "projects/project-x/topics/events"
_DEAD_LETTER_TOPIC = "projects/project-x/topics/dead-letters"


class Server(NamedTuple):
    """A running server, and the emulator beside it."""

    process: psutil.Process
    port: int
    emulator: psutil.Process


class _Form(NamedTuple):
    """A form of requests with events."""

    name: str
    path: str
    events: int
    """The number of events in one request."""
    per_second: int
    """The required rate, in events per second."""
    max_events: int


_FORMS = (
    _Form("batches of 100", "/v1/batch", BATCH_EVENTS, BATCHED_EVENTS_PER_SECOND, MAX_BATCHED_EVENTS),
    _Form("single events", "/v1/track", 1, SINGLE_EVENTS_PER_SECOND, MAX_SINGLE_EVENTS),
)


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the highest rate of batches and of single events, latency at half of the required rate, and memory."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, _servers() as (collector, bare):
        growth: list[float] = []
        for form in _FORMS:
            requests = _write_requests(Path(folder), form)
            count = max(2, min(events, form.max_events) // form.events)
            plain = Load(collector.port, str(requests), count, _CONNECTIONS)
            half = form.per_second / 2 / form.events
            evenly = Load(collector.port, str(requests), max(2, count // 2), _CONNECTIONS, half)
            baseline = Load(bare.port, str(requests), count, _CONNECTIONS)
            _sent(plain)  # connects, and grows what grows once
            samples: dict[str, list[float]] = {}
            for _ in range(rounds):
                before_bytes = collector.process.memory_info().rss
                _add_samples(samples, form, collector, plain, evenly, baseline)
                growth.append(collector.process.memory_info().rss / before_bytes)
            figures += _figures(form, samples)
        rss_mb = collector.process.memory_info().rss / 2**20
    figures.append(figure("memory after a round ÷ before it", growth, "×", at_most=MAX_GROWTH))
    figures.append(figure("memory at the end", [rss_mb], "MiB"))
    return figures


def _add_samples(
    samples: dict[str, list[float]], form: _Form, server: Server, plain: Load, evenly: Load, baseline: Load
) -> None:
    """Adds a round's numbers."""
    cpu_seconds, emulator_seconds = _cpu_seconds(server.process), _cpu_seconds(server.emulator)
    fast = _sent(plain)
    total = plain.count * form.events
    waits, bare = _sent(evenly), _sent(baseline)
    for name, value in {
        "rate": total / fast.seconds,
        "load": fast.load_cpu_seconds / fast.seconds,
        "cpu": (_cpu_seconds(server.process) - cpu_seconds) / (total + evenly.count * form.events) * 1e6,
        "emulator": (_cpu_seconds(server.emulator) - emulator_seconds)
        / (total + evenly.count * form.events)
        * 1e6,
        "p50": waits.percentile_ms(0.5),
        "p99": waits.percentile_ms(0.99),
        "bare": total / bare.seconds,
    }.items():
        samples.setdefault(name, []).append(value)


def _figures(form: _Form, samples: dict[str, list[float]]) -> list[Figure]:
    name, half = form.name, form.per_second // 2
    return [
        figure(f"{name}: the highest rate", samples["rate"], "events/s", at_least=form.per_second),
        figure(f"{name}: the load generator's share of a core meanwhile", samples["load"], "cores"),
        figure(f"{name}: the collector's processor time", samples["cpu"], "µs per event"),
        figure(f"{name}: the emulator's processor time", samples["emulator"], "µs per event"),
        figure(f"{name}: p50 at {half:,} events/s", samples["p50"], "ms"),
        figure(f"{name}: p99 at {half:,} events/s", samples["p99"], "ms", at_most=MAX_P99_MS),
        figure(f"{name}: the bare HTTP stack, which answers at once", samples["bare"], "events/s"),
    ]


def _sent(what: Load) -> LoadResult:
    outcome = load(what)
    if outcome.refused:
        raise RuntimeError(f"{outcome.refused} of {what.count} requests were refused")
    return outcome


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def _servers() -> Iterator[tuple[Server, Server]]:
    """Runs the collector and its baseline beside an emulator."""
    with PubSubEmulator() as emulator, environment("PUBSUB_EMULATOR_HOST", emulator.host):
        publisher = pubsub_v1.PublisherClient()
        for topic in (_EVENTS_TOPIC, _DEAD_LETTER_TOPIC):
            publisher.create_topic(name=topic)
        beside = psutil.Process(emulator.pid)
        settings = f"--settings={ROOT}/definitions/collector.yaml"
        topics = [f"--events_topic={_EVENTS_TOPIC}", f"--dead_letter_topic={_DEAD_LETTER_TOPIC}"]
        ports = free_port(), free_port()
        with (
            _running(ports[0], "services.collector", settings, *topics, f"--port={ports[0]}") as collector,
            _running(ports[1], "benchmarks.bare_http", str(ports[1])) as bare,
        ):
            yield Server(collector, ports[0], beside), Server(bare, ports[1], beside)


@contextlib.contextmanager
def _running(port: int, module: str, *arguments: str) -> Iterator[psutil.Process]:
    """Runs a server for the block, which begins when the server listens."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if process.poll() is not None:
                raise RuntimeError(f"{module} ended at once")
            time.sleep(0.05)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _write_requests(folder: Path, form: _Form) -> Path:
    """Writes different requests, whole, and returns the file."""
    path = folder / f"{form.events}.json"
    path.write_text(json.dumps([_request(form) for _ in range(_BODIES)]), encoding="utf-8")
    return path


def _request(form: _Form) -> str:
    events = [_event() for _ in range(form.events)]
    body = json.dumps({"batch": events, "sentAt": _now()} if form.events > 1 else events[0])
    key = base64.b64encode(f"{_WRITE_KEY}:".encode()).decode()
    head = f"POST {form.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def _event() -> dict[str, object]:
    """Returns an event as a server's SDK sends it."""
    return {
        "type": "track",
        "messageId": uuid.uuid4().hex,
        "userId": f"user-{uuid.uuid4().hex}",
        "anonymousId": uuid.uuid4().hex,
        "event": "Product Added",
        "timestamp": _now(),
        "context": {"library": {"name": "analytics-python", "version": "2.3.3"}, "locale": "en-GB"},
        "integrations": {},
        "properties": {
            "cart_id": "skdjsidjsdkdj29j",
            "product_id": "507f1f77bcf86cd799439011",
            "sku": "G-32",
            "category": "Games",
            "name": "Monopoly: 3rd Edition",
            "brand": "Hasbro",
            "price": 18.99,
            "quantity": 1,
            "coupon": "MAYDEALS",
            "position": 3,
            "url": "https://www.example.com/product/path",
        },
    }


def _now() -> str:
    return format_timestamp(time.time_ns() // 1_000_000)
