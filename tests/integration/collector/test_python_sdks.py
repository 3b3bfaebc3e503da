"""Unmodified SDKs for Python, from PyPI: Segment's and RudderStack's. Every event is in Pub/Sub, once in effect."""

import contextlib
import json
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import rudderstack.analytics.client
import segment.analytics.client
from google.cloud import pubsub_v1

from local.pubsub_emulator import PubSubEmulator
from tests.integration.collector.collector_process import IMPATIENT, SERVER, CollectorProcess, event, new_user
from tests.integration.live_job import Topic
from tests.waiting import HANGS_AFTER_SECONDS, until

SDKS = {"segment": segment.analytics.client.Client, "rudderstack": rudderstack.analytics.client.Client}
# Segment's SDK cuts off what is finer than a millisecond.
HAPPENED = datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture(params=SDKS)
def make_sdk(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client of the SDK, which ends with the test; an error is the test's."""
    errors: list[Exception] = []
    clients: list[Any] = []

    def make(collector: CollectorProcess, key: str = SERVER, gzip: bool = False) -> Any:
        report = lambda error, _: errors.append(error)  # noqa: E731
        options = {"gzip": gzip, "on_error": report, "timeout": HANGS_AFTER_SECONDS}
        clients.append(SDKS[request.param](key, host=collector.url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.shutdown()
    assert errors == []


def call_each(client: Any, user: str) -> list[str]:
    """Makes a call of each type, and returns their types."""
    client.identify(user, {"email": "ann@shop.example"})
    client.track(user, "Product Added", {"price": 18.99, "name": "Café"}, timestamp=HAPPENED)
    client.page(user, "Docs", "Start", {"url": "https://shop.example/"})
    client.screen(user, "Cart", "Basket", {"items": 3})
    client.group(user, "company-1", {"plan": "gold"})
    client.alias("before", user)
    return ["alias", "group", "identify", "page", "screen", "track"]


@pytest.mark.parametrize("gzip", [False, True])
def test_each_call_arrives_once(
    collector: CollectorProcess, make_sdk: Callable[..., Any], gzip: bool
) -> None:
    client, user = make_sdk(collector, gzip=gzip), new_user()
    types = call_each(client, user)
    client.flush()
    found = {message["type"]: message for message in collector.published(user)}
    assert len(collector.published(user)) == len(types)
    assert sorted(found) == types
    assert found["track"]["event"] == "Product Added"
    assert found["track"]["properties"] == {"price": 18.99, "name": "Café"}
    assert datetime.fromisoformat(found["track"]["timestamp"]) == HAPPENED, (
        "as it was said: the clock is right"
    )
    assert found["identify"]["traits"] == {"email": "ann@shop.example"}
    assert found["group"]["groupId"] == "company-1"
    assert found["alias"]["previousId"] == "before"
    for message in found.values():
        assert message["context"]["library"]["name"] == "analytics-python"
        assert message["context"]["userAgent"].startswith("analytics-python/")
        assert message["messageId"]
        assert message["receivedAt"]
        assert "writeKey" not in message
    assert collector.letters(user) == []


def test_many_events_arrive_in_batches_each_once(
    collector: CollectorProcess, make_sdk: Callable[..., Any]
) -> None:
    client, user = make_sdk(collector), new_user()
    for n in range(500):
        client.track(user, "Product Viewed", {"n": n})
    client.flush()
    numbers = [message["properties"]["n"] for message in collector.published(user)]
    assert sorted(numbers) == list(range(500))


def test_it_tries_again_after_429(collector: CollectorProcess, make_sdk: Callable[..., Any]) -> None:
    """Segment's SDK waits as long as Retry-After says, RudderStack's as long as it thinks right."""
    user, refused = new_user(), 'collector_responses_total{code="rate_exceeded"}'
    client = make_sdk(collector, IMPATIENT)
    sent = 0

    def was_refused() -> bool:
        """Returns whether the SDK came while others had used up the rate; on a busy machine it may come later."""
        nonlocal sent
        until(
            lambda: collector.post("/v1/batch", {"batch": [event("u")] * 2}, IMPATIENT).status_code == 200,
            "turn",
        )
        before = collector.metric(refused)
        client.track(user, "Product Added")
        client.flush()
        sent += 1
        return collector.metric(refused) > before

    until(was_refused, "refusal of the SDK")
    assert len(collector.published(user)) == sent


def test_it_tries_again_after_503_and_nothing_is_lost_or_another_event(
    start_collector: Callable[..., CollectorProcess],
    make_sdk: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with PubSubEmulator(start_seconds=HANGS_AFTER_SECONDS) as own_emulator:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", own_emulator.host)
        publisher = pubsub_v1.PublisherClient()
        with contextlib.closing(publisher.transport), pubsub_v1.SubscriberClient() as subscriber:
            topics = Topic(publisher, subscriber), Topic(publisher, subscriber)
            flags = {"topics": topics, "emulator": own_emulator.host}
            collector = start_collector("--publish_seconds=1", **flags)
            client, user = make_sdk(collector), new_user()
            assert own_emulator.pid is not None
            os.kill(own_emulator.pid, signal.SIGSTOP)
            try:
                types = call_each(client, user)
                refused = 'collector_responses_total{code="pubsub_unavailable"}'
                until(lambda: collector.metric(refused) >= 1, "answer of 503")
            finally:
                os.kill(own_emulator.pid, signal.SIGCONT)
            client.flush()
            by_id = defaultdict(set)
            for message in collector.published(user):
                same = {
                    name: value for name, value in message.items() if name not in ("receivedAt", "sentAt")
                }
                by_id[message["messageId"]].add(json.dumps(same, sort_keys=True))
            assert sorted(json.loads(min(copies))["type"] for copies in by_id.values()) == types
            assert all(len(copies) == 1 for copies in by_id.values()), "a repeat tells the same"


def test_a_wrong_key_is_reported_and_not_tried_again(collector: CollectorProcess) -> None:
    for name, client_class in SDKS.items():
        errors: list[Any] = []
        client = client_class(
            f"wrong-{name}", host=collector.url, on_error=lambda error, _, to=errors: to.append(error)
        )
        before = collector.metric('collector_responses_total{code="bad_write_key"}')
        client.track(new_user(), "Product Added")
        client.flush()
        client.shutdown()
        assert [(error.status, error.code) for error in errors] == [(401, "bad_write_key")]
        assert collector.metric('collector_responses_total{code="bad_write_key"}') - before == 1
