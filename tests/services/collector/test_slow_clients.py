"""Clients that leave their requests half sent keep nobody else waiting."""

import os
import statistics
import time

import pytest

from services.collector.impatient_protocol import MAX_CONNECTIONS
from tests.integration.collector.collector_process import CollectorProcess, event, new_user
from tests.services.collector.conftest import StartCollector
from tests.services.collector.half_sent import allow_open_files, begin, head
from tests.services.collector.hostile_bodies import KEY
from tests.waiting import until

HALF_SENT = [
    b"",
    b"POST /v1/ba",
    head(100, None)[:-2] + b"X-A: ",
    head(100, None) + b"{",
    head(100, KEY) + b"{",
    head(100, "wrong-write-key") + b"{",
    head(100_000, KEY) + b"{" * 10_000,
    b"POST /v1/batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
]
REQUESTS = 60
MAX_RATIO = 10
"""Of the medians with and without slow clients, which take turns; without a bound it would be thousands."""


def seconds_of(collector: CollectorProcess) -> float:
    """Sends a batch with a key over a new connection, and returns how long it took."""
    begun = time.perf_counter()
    answer = collector.post("/v1/batch", {"batch": [event(new_user())]}, headers={"Connection": "close"})
    seconds = time.perf_counter() - begun
    assert answer.status_code == 200, answer.text
    return seconds


def open_files(collector: CollectorProcess) -> int:
    return len(os.listdir(f"/proc/{collector.process.pid}/fd"))


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100]


@pytest.mark.parametrize("slow_clients", [1_000, MAX_CONNECTIONS + 200])
def test_slow_clients_keep_nobody_else_waiting(start_collector: StartCollector, slow_clients: int) -> None:
    allow_open_files(slow_clients + 500)
    attacked, other = start_collector(), start_collector()
    slow = [begin(attacked, HALF_SENT[number % len(HALF_SENT)]) for number in range(slow_clients)]
    stand = min(slow_clients, MAX_CONNECTIONS)
    until(lambda: open_files(attacked) >= stand, "connections that stand")
    with_slow, without = [], []
    for _ in range(REQUESTS):
        with_slow.append(seconds_of(attacked))
        without.append(seconds_of(other))
    print(f"p99 with {slow_clients} slow clients: {p99(with_slow):.4f} s, without: {p99(without):.4f} s")
    assert statistics.median(with_slow) < MAX_RATIO * statistics.median(without)
    assert attacked.metric('collector_responses_total{code="too_busy"}') == 0
    for connection in slow:
        connection.close()
