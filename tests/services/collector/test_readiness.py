"""Whether events can be accepted: what is looked up, how often, and what is said."""

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from services.collector.publisher import PubSub, TopicProblem
from services.collector.readiness import RECHECK_SECONDS, RETRY_SECONDS, NotReady, Readiness
from tests.services.collector.virtual_time import run

TOPICS = {"events_topic": "projects/p/topics/events", "dead_letter_topic": "projects/p/topics/dead"}
MISSING = TopicProblem("topic_missing", "does not exist: create it, or correct the flag")


class FakePubSub(PubSub):
    """Counts looks at topics, each of which takes a while."""

    def __init__(self) -> None:
        self.refusals = 0
        self.reachable = True
        self.problems: dict[str, TopicProblem] = {}
        self.looks: list[str] = []

    async def is_reachable(self, wait_seconds: float) -> bool:
        return self.reachable

    async def topic_problem(self, topic: str) -> TopicProblem | None:
        self.looks.append(topic)
        await asyncio.sleep(0.5)
        return self.problems.get(topic)


class Asked:
    """A readiness that is asked, in a time of its own."""

    def __init__(self) -> None:
        self.pubsub = FakePubSub()
        self.now = 1000.0
        self.readiness = Readiness(self.pubsub, TOPICS, lambda: self.now)

    def ask(self) -> NotReady | None:
        return run(self.readiness.problem())


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_topics_are_looked_at_once_however_many_ask(asked: Asked) -> None:
    async def many() -> list[NotReady | None]:
        return await asyncio.gather(*(asked.readiness.problem() for _ in range(1000)))

    assert run(many()) == [None] * 1000
    assert sorted(asked.pubsub.looks) == sorted(TOPICS.values())
    asked.now += RECHECK_SECONDS - 0.001
    assert asked.ask() is None
    assert len(asked.pubsub.looks) == 2
    asked.now += 0.001
    assert asked.ask() is None
    assert len(asked.pubsub.looks) == 4


def test_a_missing_topic_is_named_until_it_is_there(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    topic = TOPICS["dead_letter_topic"]
    asked.pubsub.problems[topic] = MISSING
    message = f"--dead_letter_topic: {topic} does not exist: create it, or correct the flag"
    assert asked.ask() == asked.ask() == NotReady("topic_missing", message)
    del asked.pubsub.problems[topic]
    asked.now += RETRY_SECONDS - 0.001
    assert asked.ask() is not None
    assert len(asked.pubsub.looks) == 2, "Pub/Sub is not asked again at once"
    asked.now += 0.001
    assert asked.ask() is None
    assert caplog.messages == [f"not ready: {message}", "ready"]


def test_a_problem_that_stays_is_logged_once(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    asked.pubsub.problems[TOPICS["events_topic"]] = MISSING
    for _ in range(3):
        asked.ask()
        asked.now += RETRY_SECONDS
    assert len(caplog.messages) == 1


def test_a_refused_message_has_the_topics_looked_at_before_their_time(asked: Asked) -> None:
    assert asked.ask() is None
    asked.pubsub.problems[TOPICS["events_topic"]] = MISSING
    asked.pubsub.refusals += 1
    assert asked.ask() is None
    assert len(asked.pubsub.looks) == 2, "not more often than every two seconds"
    asked.now += RETRY_SECONDS
    assert asked.ask() is not None
    asked.pubsub.problems.clear()
    asked.now += RETRY_SECONDS
    assert asked.ask() is None
    asked.now += RETRY_SECONDS
    assert asked.ask() is None
    assert len(asked.pubsub.looks) == 6, "believed again"


def test_no_topic_is_looked_at_without_a_connection(asked: Asked) -> None:
    asked.pubsub.reachable = False
    assert asked.ask() == NotReady("pubsub_unavailable", "Pub/Sub cannot be reached")
    assert asked.pubsub.looks == []


# What Pub/Sub says about a topic


def problem_of(monkeypatch: pytest.MonkeyPatch, get: Callable[[], Any], test: Callable[[], Any]) -> Any:
    """Returns the problem of a topic, with answers of Pub/Sub to a look at it and to a look at the permissions."""

    async def look() -> TopicProblem | None:
        pubsub = PubSub(publish_seconds=1)

        async def get_topic(**options: Any) -> Any:
            return get()

        async def test_iam_permissions(**options: Any) -> Any:
            return test()

        client: Any = SimpleNamespace(get_topic=get_topic, test_iam_permissions=test_iam_permissions)
        monkeypatch.setattr(pubsub, "_client", client)
        try:
            return await pubsub.topic_problem(TOPICS["events_topic"])
        finally:
            await pubsub.close()

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    return asyncio.run(look())


def raising(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def granted(*permissions: str) -> Callable[[], Any]:
    return lambda: SimpleNamespace(permissions=permissions)


@pytest.mark.parametrize(
    ("get", "test", "code"),
    [
        (lambda: object(), raising(AssertionError()), None),
        (raising(exceptions.NotFound("no")), raising(AssertionError()), "topic_missing"),
        (raising(exceptions.PermissionDenied("no")), granted("pubsub.topics.publish"), None),
        (raising(exceptions.PermissionDenied("no")), granted(), "topic_forbidden"),
        (raising(exceptions.PermissionDenied("no")), raising(exceptions.NotFound("no")), "topic_missing"),
        (raising(exceptions.ServiceUnavailable("no")), granted(), "pubsub_unavailable"),
        (raising(exceptions.PermissionDenied("no")), raising(TimeoutError()), "pubsub_unavailable"),
    ],
    ids=["there", "missing", "may only publish", "may nothing", "hidden", "unavailable", "slow"],
)
def test_a_topic_takes_messages_or_there_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, get: Callable[[], Any], test: Callable[[], Any], code: str | None
) -> None:
    problem = problem_of(monkeypatch, get, test)
    assert (None if problem is None else problem.code) == code
