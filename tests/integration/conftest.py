"""Real servers: Google's Pub/Sub emulator, a Redis, and a job that runs between them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from local.embedded_redis import EmbeddedRedis
from local.pubsub_emulator import PubSubEmulator, PubSubEmulatorError
from tests.integration.live_job import LiveJob, Profiles, Topic
from tests.integration.page_reader import Reader
from tests.waiting import HANGS_AFTER_SECONDS

OPT_OUT = "SKIP_PUBSUB_TESTS"
"""An environment variable that leaves these tests out; continuous integration unsets it."""


@pytest.fixture(scope="package", autouse=True)
def emulator() -> Iterator[PubSubEmulator]:
    if os.environ.get(OPT_OUT):
        pytest.skip(f"${OPT_OUT} is set")
    try:
        with (
            PubSubEmulator(start_seconds=HANGS_AFTER_SECONDS) as server,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("PUBSUB_EMULATOR_HOST", server.host)
            yield server
    except PubSubEmulatorError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"the job was not run against Pub/Sub: {error}")


@pytest.fixture(scope="package")
def new_topic(emulator: PubSubEmulator) -> Iterator[Callable[[], Topic]]:
    """Makes a topic with a subscription."""
    publisher = pubsub_v1.PublisherClient()
    with pubsub_v1.SubscriberClient() as subscriber:
        yield lambda: Topic(publisher, subscriber)
    publisher.stop()
    publisher.transport.close()


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Follows a page of docs/; what it started ends with the test."""
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    reader = Reader(tmp_path)
    yield reader
    reader.end()


@pytest.fixture
def start_job(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., LiveJob]]:
    """Starts a job, over the session's Redis and files of the test's own, which ends with the test."""
    jobs = []

    def start(events: Topic, *flags: str, redis_url: str = redis_url) -> LiveJob:
        jobs.append(LiveJob(events, tmp_path, redis_url, *flags))
        return jobs[-1]

    yield start
    for job in jobs:
        job.kill()


@pytest.fixture
def profiles(redis_url: str) -> Profiles:
    """What a job of `start_job` writes."""
    return Profiles(redis_url)


class Shop:
    """One job that several tests share, each with users of its own."""

    def __init__(self, new_topic: Callable[[], Topic], folder: Path, redis_url: str) -> None:
        self.events, self.dead_letters, self.changes = new_topic(), new_topic(), new_topic()
        self.profiles = Profiles(redis_url)
        topics = (f"--dead_letter_topic={self.dead_letters.name}", f"--changes_topic={self.changes.name}")
        self.job = LiveJob(self.events, folder, redis_url, *topics)


@pytest.fixture(scope="module")  # a live job takes a third of a core while it has nothing to do
def shop(new_topic: Callable[[], Topic], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with EmbeddedRedis() as server:
        shop = Shop(new_topic, tmp_path_factory.mktemp("shop"), server.url)
        yield shop
        shop.job.kill()
