"""A collector's memory under attack stays below what a container of 512 MiB has."""

import contextlib
import re
import socket
import threading
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.integration.collector.collector_process import SERVER, CollectorProcess, event, new_user
from tests.services.collector.conftest import StartCollector
from tests.services.collector.half_sent import begin, head
from tests.services.collector.hostile_bodies import KEY, hostile_body
from tests.services.collector.pubsub_server import PubSubServer
from tests.waiting import until

MAX_PEAK_MIB = 480
"""What a container of 512 MiB has, without what the kernel needs."""
SENDERS = 8
FLAGS = ("--tracking_plan=definitions/tracking_plan", "--publish_seconds=2")


def peak_mib(collector: CollectorProcess) -> float:
    status = Path(f"/proc/{collector.process.pid}/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[0]) / 1024


def answer(connection: socket.socket) -> str:
    """Returns the status of the response; `closed` if there is none."""
    with contextlib.suppress(ConnectionError), connection:
        if found := re.match(rb"HTTP/1.1 (\d+)", connection.recv(4096)):
            return found[1].decode()
    return "closed"


def attack(collector: CollectorProcess, pubsub: PubSubServer, seed: int, bodies: int) -> Counter[str]:
    """Sends hostile bodies from several clients at once, while others leave theirs unfinished."""
    answers: Counter[str] = Counter()
    unfinished = [
        begin(collector, head(4_600_000, key) + bytes(4_500_000 if number % 10 == 0 else 400_000))
        for number, key in enumerate([None, KEY, SERVER] * 40)
    ]
    unfinished += [
        begin(collector, head(1, SERVER)[:-2] + b"a:b\r\n" * 90 + b"X: " + b"x" * 15_000) for _ in range(300)
    ]

    def send(sender: int) -> None:
        random = Random(seed * SENDERS + sender)
        for number in range(bodies):
            if sender == 0:
                (pubsub.speaks.clear if number % 4 == 0 else pubsub.speaks.set)()
            body = hostile_body(random)
            answers[answer(begin(collector, head(len(body), random.choice([None, KEY, SERVER])) + body))] += 1

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    pubsub.speaks.set()
    for connection in unfinished:
        connection.close()
    return answers


def assert_stays_small(collector: CollectorProcess, pubsub: PubSubServer, seed: int, bodies: int) -> None:
    idle_mib = peak_mib(collector)
    answers = attack(collector, pubsub, seed, bodies)
    print(f"idle {idle_mib:.0f} MiB, peak {peak_mib(collector):.0f} MiB, {dict(answers)}")
    assert collector.process.poll() is None
    assert peak_mib(collector) < MAX_PEAK_MIB
    assert "413" in answers
    assert "500" not in answers
    until(
        lambda: collector.post("/v1/batch", {"batch": [event(new_user())]}).status_code == 200,
        "answer of 200",
    )


def test_a_collector_under_attack_stays_small(start_collector: StartCollector, pubsub: PubSubServer) -> None:
    assert_stays_small(start_collector(*FLAGS), pubsub, seed=0, bodies=6)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
def test_a_collector_under_long_attack_stays_small(
    start_collector: StartCollector, pubsub: PubSubServer, seed: int
) -> None:
    assert_stays_small(start_collector(*FLAGS), pubsub, seed, bodies=60)
