"""Pub/Sub goes away for a while, and comes back: what was answered with 200 is there."""

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
from google.cloud import pubsub_v1

from local.pubsub_emulator import PubSubEmulator
from tests.integration.collector.collector_process import CollectorProcess, event, new_user
from tests.integration.live_job import Topic
from tests.waiting import HANGS_AFTER_SECONDS, until


@pytest.fixture
def own_emulator() -> Iterator[PubSubEmulator]:
    """An emulator that may be stopped."""
    with PubSubEmulator(start_seconds=HANGS_AFTER_SECONDS) as server:
        yield server


@pytest.fixture
def own_topic(own_emulator: PubSubEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Makes a topic with a subscription in it, or makes that one again."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", own_emulator.host)
    publisher = pubsub_v1.PublisherClient()
    with pubsub_v1.SubscriberClient() as subscriber:
        yield lambda: Topic(publisher, subscriber)
    publisher.stop()
    publisher.transport.close()


def suspend(emulator: PubSubEmulator) -> None:
    """Lets nothing more of Pub/Sub be heard, as when the network is cut; what it has it keeps."""
    assert emulator.pid is not None
    os.kill(emulator.pid, signal.SIGSTOP)


def resume(emulator: PubSubEmulator) -> None:
    assert emulator.pid is not None
    os.kill(emulator.pid, signal.SIGCONT)


def test_silence_is_answered_with_503_and_nothing_that_was_taken_is_lost(
    own_emulator: PubSubEmulator, own_topic, start_collector
) -> None:
    events, dead_letters = own_topic(), own_topic()
    collector = start_collector(
        "--publish_seconds=1", emulator=own_emulator.host, topics=(events, dead_letters)
    )
    user = new_user()
    taken = []

    def send() -> int:
        sent = [event(user) for _ in range(3)]
        answer = collector.post("/v1/batch", {"batch": sent})
        if answer.status_code == 200:
            taken.extend(one["messageId"] for one in sent)
        else:
            assert (answer.status_code, answer.json()["code"]) == (503, "pubsub_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        return answer.status_code

    until(lambda: send() == 200, "answer of 200")
    said_before = len(collector.log)
    suspend(own_emulator)
    try:
        assert [send(), send()] == [503, 503]
    finally:
        resume(own_emulator)
    until(lambda: send() == 200, "answer of 200")
    assert set(taken) <= {message["messageId"] for message in collector.published(user)}
    said = collector.log[said_before:]
    assert "Pub/Sub does not accept messages" in said
    assert "Pub/Sub accepts messages again" in said
    assert user not in collector.log


def test_it_is_not_ready_while_pubsub_is_gone_and_ready_when_it_is_back(
    own_emulator: PubSubEmulator, own_topic, start_collector
) -> None:
    collector = start_collector(
        "--publish_seconds=1", emulator=own_emulator.host, topics=(own_topic(), own_topic())
    )
    until(lambda: collector.client.get("/readyz").status_code == 200, "word that it is ready")
    own_emulator.close()
    until(lambda: collector.client.get("/readyz").status_code == 503, "word that it is not ready")
    assert collector.client.get("/healthz").status_code == 200
    assert collector.post("/v1/track", event(new_user())).status_code == 503
    own_emulator.start()
    until(lambda: collector.client.get("/readyz").status_code == 200, "word that it is ready")


def test_what_waits_for_pubsub_is_bounded(own_emulator: PubSubEmulator, own_topic, start_collector) -> None:
    bound = 1_000_000
    collector = start_collector(
        f"--max_pending_bytes={bound}", emulator=own_emulator.host, topics=(own_topic(), own_topic())
    )
    process = psutil.Process(collector.process.pid)
    user = new_user()
    body = {"batch": [event(user, properties={"a": "x" * 20_000}) for _ in range(10)]}
    assert collector.post("/v1/batch", body).status_code == 200
    before = process.memory_info().rss
    suspend(own_emulator)
    codes = []
    refused = {
        (503, "queue_full"),
        (503, "too_busy"),
    }  # the bytes of one topic, or the memory of all requests

    def send() -> None:
        answer = collector.post("/v1/batch", body)
        assert int(answer.headers.get("Retry-After", "1")) >= 1
        codes.append((answer.status_code, answer.json().get("code")))

    try:
        senders = [threading.Thread(target=send) for _ in range(60)]
        for sender in senders:
            sender.start()
        until(lambda: sum(code in refused for code in codes) >= 55, "answers of 503 while Pub/Sub is silent")
        assert collector.metric("collector_events_pending_bytes") <= bound
        assert process.memory_info().rss - before < 50 * bound
    finally:
        resume(own_emulator)
    for sender in senders:
        sender.join()
    waited = [code for code in codes if code not in refused]
    assert 1 <= len(waited) <= 5
    assert set(waited) <= {(200, None), (503, "pubsub_unavailable")}
    until(lambda: collector.post("/v1/batch", body).status_code == 200, "answer of 200")
    assert collector.metric("collector_events_pending_bytes") == 0


def test_a_missing_topic_is_answered_with_503(start_collector, collector: CollectorProcess) -> None:
    answer = start_collector("--events_topic=projects/project-x/topics/nowhere").post(
        "/v1/track", event(new_user())
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "pubsub_unavailable")
    assert "NotFound" in answer.json()["message"]


@pytest.mark.parametrize("kind", ["events", "dead_letters"])
def test_it_is_not_ready_while_a_topic_is_missing_and_ready_when_it_is_there(
    own_emulator: PubSubEmulator, own_topic, start_collector, kind: str
) -> None:
    topics = {"events": own_topic(), "dead_letters": own_topic()}
    name = topics[kind].name
    publisher = pubsub_v1.PublisherClient()
    publisher.delete_topic(topic=name)
    collector = start_collector(emulator=own_emulator.host, topics=(topics["events"], topics["dead_letters"]))
    flag = {"events": "--events_topic", "dead_letters": "--dead_letter_topic"}[kind]
    expected = {
        "code": "topic_missing",
        "message": f"{flag}: {name} does not exist: create it, or correct the flag",
    }

    def is_ready() -> bool:
        answer = collector.client.get("/readyz")
        assert answer.status_code == 200 or (answer.status_code, answer.json()) == (503, expected)
        return bool(answer.status_code == 200)

    def send() -> int:
        body = event(new_user()) if kind == "events" else {"type": "track"}
        return int(collector.post("/v1/track", body).status_code)

    until(lambda: collector.client.get("/readyz").json() == expected, "word that the topic is missing")
    publisher.create_topic(name=name)
    until(is_ready, "word that it is ready")
    assert send() == 200
    publisher.delete_topic(topic=name)
    assert send() == 503
    until(lambda: not is_ready(), "word that the topic is missing again")
    publisher.create_topic(name=name)
    until(is_ready, "word that it is ready again")
    assert send() == 200
    assert collector.log.count("not ready: ") == 2
    publisher.stop()
    publisher.transport.close()
