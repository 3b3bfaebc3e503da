"""Real servers: Google's Pub/Sub emulator, a Redis, and a job that runs between them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import pubsub_v1

from pipeline.embedded_redis import EmbeddedRedis
from pipeline.pubsub_emulator import PubSubEmulator, PubSubEmulatorError
from tests.integration.live_job import LiveJob, Profiles, Topic
from tests.integration.page_reader import Reader

OPT_OUT = "SKIP_PUBSUB_TESTS"
"""An environment variable that leaves these tests out; continuous integration unsets it."""
MEASURED = pytest.StashKey[dict[str, list[float]]]()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keeps these tests in one worker, which starts the servers they share; those in collector/ in another one."""
    item.add_marker(pytest.mark.xdist_group(item.path.parent.name))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands over what a worker measured to the process that shows it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = session.config.stash[MEASURED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    for what, seconds in getattr(node, "workeroutput", {}).get("measured", {}).items():
        node.config.stash[MEASURED].setdefault(what, []).extend(seconds)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for what, seconds in config.stash.get(MEASURED, {}).items():
        ascending = sorted(seconds)
        middle, greatest = ascending[len(ascending) // 2], ascending[-1]
        terminalreporter.write_line(
            f"{what}: {len(seconds)}, median {middle:.2f} s, at most {greatest:.2f} s"
        )


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> dict[str, list[float]]:
    """Seconds by what took them; shown at the end, and never asserted: the machine may be busy."""
    return pytestconfig.stash[MEASURED]


@pytest.fixture(scope="session", autouse=True)
def emulator() -> Iterator[PubSubEmulator]:
    if os.environ.get(OPT_OUT):
        pytest.skip(f"${OPT_OUT} is set")
    try:
        with PubSubEmulator() as server, pytest.MonkeyPatch.context() as patch:
            patch.setenv("PUBSUB_EMULATOR_HOST", server.host)
            yield server
    except PubSubEmulatorError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"the job was not run against Pub/Sub: {error}")


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def shop(new_topic: Callable[[], Topic], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with EmbeddedRedis() as server:
        shop = Shop(new_topic, tmp_path_factory.mktemp("shop"), server.url)
        yield shop
        shop.job.kill()
