"""The latency from publishing an event to its profile in Redis, through the Pub/Sub emulator and a live job."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import redis
from google.cloud import pubsub_v1

from benchmarks.data import ROOT
from benchmarks.results import Figure, figure
from local.embedded_redis import EmbeddedRedis
from local.pubsub_emulator import PubSubEmulator
from segmentation.timestamps import format_timestamp

BACKLOG_EVENTS = 2_000
"""More would only take longer."""
SHARES = (0.1, 0.5, 0.9)
_MAX_WAIT_SECONDS = 600
_TOPIC = "projects/project-x/topics/events"
_SUBSCRIPTION = "projects/project-x/subscriptions/job"
_PROFILE = "segments:profile:"


class Arrivals(threading.Thread):
    """Records when each profile is first written to Redis, from Redis's keyspace notifications."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(daemon=True)
        client.config_set("notify-keyspace-events", "Kh")
        self._listener = client.pubsub(ignore_subscribe_messages=True)
        self._listener.psubscribe(f"__keyspace@*__:{_PROFILE}*")
        self._seconds: dict[str, float] = {}
        self._ended = False
        self._more = threading.Condition()

    def run(self) -> None:
        while not self._ended:
            message = self._listener.get_message(timeout=0.1)
            if message is None:
                continue
            user = message["channel"].decode().partition(_PROFILE)[2]
            with self._more:
                self._seconds.setdefault(user, time.perf_counter())
                self._more.notify()

    def end(self) -> None:
        """Stops listening."""
        self._ended = True
        self.join()
        self._listener.close()

    def of(self, users: Sequence[str]) -> list[float]:
        """Waits for all users, and returns when each arrived."""
        with self._more:
            if not self._more.wait_for(lambda: self._seconds.keys() >= set(users), _MAX_WAIT_SECONDS):
                raise TimeoutError("the job does not keep up: profiles are missing in Redis")
            return [self._seconds[user] for user in users]


class LiveRun:
    """A job between the emulator and Redis; its methods publish events and measure."""

    def __init__(self, publisher: pubsub_v1.PublisherClient, arrivals: Arrivals) -> None:
        self._publisher = publisher
        self._arrivals = arrivals

    def backlog_rate(self, count: int) -> float:
        """Returns the highest sustained rate: the events per second that the job processes from a backlog."""
        users, _ = self._publish(count, per_second=None)
        arrived = sorted(self._arrivals.of(users))
        return (count - 1) / (arrived[-1] - arrived[0])

    def latencies_ms(self, count: int, per_second: float) -> list[float]:
        """Publishes at a fixed rate, even if the job is slower; returns the latencies in ascending order."""
        users, due = self._publish(count, per_second)
        arrived = self._arrivals.of(users)
        return sorted((then - at) * 1000 for then, at in zip(arrived, due, strict=True))

    def _publish(self, count: int, per_second: float | None) -> tuple[list[str], list[float]]:
        """Publishes events, each of another user; returns the users, and when each event was due."""
        users, due, futures = [], [], []
        started = time.perf_counter()
        for index in range(count):
            at = started + index / per_second if per_second else time.perf_counter()
            time.sleep(max(0.0, at - time.perf_counter()))
            users.append(f"user-{uuid.uuid4().hex}")
            due.append(at)
            futures.append(self._publisher.publish(_TOPIC, _event(users[-1])))
        for future in futures:
            future.result(_MAX_WAIT_SECONDS)
        return users, due


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the highest rate, and the latency at shares of it; every event enters a segment."""
    count = min(events, BACKLOG_EVENTS)
    rates: list[float] = []
    waits: dict[float, list[list[float]]] = {share: [] for share in SHARES}
    with _live_run() as run:
        run.backlog_rate(min(count, 100))  # the first bundles compile the rules and connect
        for _ in range(rounds):
            rates.append(run.backlog_rate(count))
            for share in SHARES:
                waits[share].append(run.latencies_ms(max(2, round(count * share)), rates[-1] * share))
    figures = [figure("the highest rate: a backlog, event to Redis", rates, "events/s")]
    for share in SHARES:
        for name, part in (("p50", 0.5), ("p99", 0.99)):
            samples = [ascending[round(part * (len(ascending) - 1))] for ascending in waits[share]]
            bound = 1000 if (share, name) == (0.5, "p99") else None
            figures.append(figure(f"event to Redis at {share:.0%} of it: {name}", samples, "ms", bound))
    return figures


@contextlib.contextmanager
def _live_run() -> Iterator[LiveRun]:
    with PubSubEmulator() as emulator, EmbeddedRedis() as server, tempfile.TemporaryDirectory() as folder:
        with environment("PUBSUB_EMULATOR_HOST", emulator.host):
            publisher = pubsub_v1.PublisherClient()
            publisher.create_topic(name=_TOPIC)
            with pubsub_v1.SubscriberClient() as subscriber:
                subscriber.create_subscription(name=_SUBSCRIPTION, topic=_TOPIC)
            with _job(server.url, Path(folder)), redis.Redis.from_url(server.url) as client:
                arrivals = Arrivals(client)
                arrivals.start()
                yield LiveRun(publisher, arrivals)
                arrivals.end()


@contextlib.contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Sets an environment variable for as long as the block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def _job(redis_url: str, folder: Path) -> Iterator[None]:
    """Runs the job for the block, which begins when the job receives messages."""
    log = folder / "log"
    command = [sys.executable, "-m", "pipeline.main", f"--input_subscription={_SUBSCRIPTION}"]
    command += [f"--segments={ROOT}/definitions/segments.yaml", f"--redis_url={redis_url}"]
    command += [f"--history_path={folder}/history", f"--dead_letter_path={folder}/dead"]
    with log.open("wb") as output:
        job = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        while "taking messages" not in log.read_text():
            if job.poll() is not None:
                raise RuntimeError(f"the job ended at once: {log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait()


def _event(user: str) -> bytes:
    return orjson.dumps(
        {
            "type": "track",
            "messageId": uuid.uuid4().hex,
            "userId": user,
            "event": "Product Added",
            "timestamp": format_timestamp(time.time_ns() // 1_000_000),
            "properties": {"product_id": "p1", "price": 400},
        }
    )
