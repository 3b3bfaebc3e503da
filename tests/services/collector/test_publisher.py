import asyncio
from typing import Any

import pytest

from services.collector.errors import Unavailable
from services.collector.publisher import (
    GATHER_SECONDS,
    MAX_CALL_BYTES,
    MAX_CALL_MESSAGES,
    PubSub,
    TopicPublisher,
)
from tests.services.collector.virtual_time import others_have_run, run

TOPIC = "projects/p/topics/events"
UNAVAILABLE = Unavailable("pubsub_unavailable", "Pub/Sub did not accept the events; try again")
OVERHEAD_BYTES = 32
"""What a message counts beside its own bytes."""


class FakePubSub(PubSub):
    """Notes the calls and when they came; may fail one after the other, or keep them waiting."""

    def __init__(self, *failures: Exception | None, is_silent: bool = False) -> None:
        self.calls: list[list[bytes]] = []
        self.topics: set[str] = set()
        self.called_at: list[float] = []
        self.speaks = asyncio.Event()
        self._failures = list(failures)
        if not is_silent:
            self.speaks.set()

    async def publish(self, topic: str, messages: list[bytes]) -> None:
        self.topics.add(topic)
        self.calls.append(messages)
        self.called_at.append(asyncio.get_running_loop().time())
        failure = self._failures.pop(0) if self._failures else None
        await self.speaks.wait()
        if failure is not None:
            raise failure


def publisher_to(pubsub: PubSub, max_pending_bytes: int = 100_000_000) -> TopicPublisher:
    return TopicPublisher(pubsub, TOPIC, max_pending_bytes)


async def publish_at_once(publisher: TopicPublisher, *requests: list[bytes]) -> list[Any]:
    """Publishes the messages of requests that come at the same time; returns None or the error of each."""
    return await asyncio.gather(*map(publisher.publish, requests), return_exceptions=True)


def published(pubsub: FakePubSub, *requests: list[bytes]) -> list[Any]:
    """Publishes in a loop that is run until all is done."""
    return run(publish_at_once(publisher_to(pubsub), *requests))


# Gathering


def test_messages_of_requests_at_the_same_time_go_in_one_call_in_their_order() -> None:
    pubsub = FakePubSub()
    assert published(pubsub, [b"a", b"b"], [b"c"], [b"d"]) == [None] * 3
    assert pubsub.calls == [[b"a", b"b", b"c", b"d"]]
    assert pubsub.topics == {TOPIC}


def test_the_first_message_waits_for_others_as_long_as_it_says() -> None:
    pubsub = FakePubSub()
    published(pubsub, [b"a"])
    assert pubsub.called_at == pytest.approx([GATHER_SECONDS])


def test_what_comes_later_does_not_make_the_first_wait_longer() -> None:
    async def publish(publisher: TopicPublisher) -> None:
        first = asyncio.create_task(publisher.publish([b"a"]))
        await asyncio.sleep(0.8 * GATHER_SECONDS)
        await asyncio.gather(first, publisher.publish([b"b"]))
        await publisher.publish([b"c"])

    pubsub = FakePubSub()
    run(publish(publisher_to(pubsub)))
    assert pubsub.calls == [[b"a", b"b"], [b"c"]]
    assert pubsub.called_at == pytest.approx([GATHER_SECONDS, 2 * GATHER_SECONDS])


def test_a_call_that_is_full_of_bytes_does_not_wait() -> None:
    pubsub = FakePubSub()
    half = bytes(MAX_CALL_BYTES // 2)
    assert published(pubsub, [half], [half]) == [None, None]
    assert pubsub.called_at == [0, 0]


def test_what_comes_after_a_full_call_waits_anew() -> None:
    async def publish(publisher: TopicPublisher) -> None:
        waiting = [asyncio.create_task(publisher.publish([b"a"]))]
        await asyncio.sleep(0.5 * GATHER_SECONDS)
        waiting.append(asyncio.create_task(publisher.publish([bytes(MAX_CALL_BYTES)])))
        await asyncio.sleep(0.1 * GATHER_SECONDS)
        await asyncio.gather(publisher.publish([b"b"]), *waiting)

    pubsub = FakePubSub()
    run(publish(publisher_to(pubsub)))
    assert pubsub.calls == [[b"a"], [bytes(MAX_CALL_BYTES)], [b"b"]]
    assert pubsub.called_at == pytest.approx([0.5 * GATHER_SECONDS] * 2 + [1.6 * GATHER_SECONDS])


def test_nothing_to_publish_makes_no_call() -> None:
    pubsub = FakePubSub()
    assert published(pubsub, []) == [None]
    assert pubsub.calls == []


# What fits into a call


def test_no_call_has_more_messages_than_pubsub_takes() -> None:
    pubsub = FakePubSub()
    messages = [b"%d" % number for number in range(2 * MAX_CALL_MESSAGES + 1)]
    assert published(pubsub, messages) == [None]
    assert [len(call) for call in pubsub.calls] == [MAX_CALL_MESSAGES, MAX_CALL_MESSAGES, 1]
    assert [message for call in pubsub.calls for message in call] == messages


def test_requests_share_a_call_as_far_as_it_takes_whole_ones() -> None:
    pubsub = FakePubSub()
    requests = [[b"a"] * 600, [b"b"] * 400, [b"c"]]
    assert published(pubsub, *requests) == [None] * 3
    assert pubsub.calls == [requests[0] + requests[1], requests[2]]


def test_no_call_has_more_bytes_than_pubsub_takes() -> None:
    pubsub = FakePubSub()
    message = bytes(MAX_CALL_BYTES // 3 - OVERHEAD_BYTES)
    assert published(pubsub, [message] * 4) == [None]
    assert [len(call) for call in pubsub.calls] == [3, 1]


def test_a_message_that_fills_a_call_goes_alone() -> None:
    pubsub = FakePubSub()
    large = bytes(MAX_CALL_BYTES)
    assert published(pubsub, [large, b"a", large, b"b"]) == [None]
    assert pubsub.calls == [[large], [b"a"], [large], [b"b"]]


# Pub/Sub's word


def test_it_returns_only_with_pubsubs_word() -> None:
    async def publish(pubsub: FakePubSub) -> None:
        waiting = asyncio.create_task(publisher_to(pubsub).publish([b"a"]))
        await asyncio.sleep(60)
        assert pubsub.calls == [[b"a"]]
        assert not waiting.done()
        pubsub.speaks.set()
        await waiting

    run(publish(FakePubSub(is_silent=True)))


def test_a_failed_call_fails_every_request_in_it_and_no_other() -> None:
    pubsub = FakePubSub(UNAVAILABLE, None)
    assert published(pubsub, [b"a"] * 500, [b"b"] * 500, [b"c"]) == [UNAVAILABLE, UNAVAILABLE, None]


def test_a_request_in_two_calls_fails_if_one_of_them_does() -> None:
    pubsub = FakePubSub(None, UNAVAILABLE)
    assert published(pubsub, [b"a"] * (MAX_CALL_MESSAGES + 1)) == [UNAVAILABLE]
    assert len(pubsub.calls) == 2


def test_an_unexpected_failure_reaches_who_waits() -> None:
    broken = KeyError("broken")
    assert published(FakePubSub(broken), [b"a"]) == [broken]


def test_it_does_not_try_again_by_itself_and_takes_what_is_sent_again() -> None:
    async def publish(pubsub: FakePubSub) -> None:
        publisher = publisher_to(pubsub)
        with pytest.raises(Unavailable) as refused:
            await publisher.publish([b"a"])
        assert refused.value.code == "pubsub_unavailable"
        assert pubsub.calls == [[b"a"]]
        assert publisher.pending_bytes == 0
        await publisher.publish([b"a"])
        assert pubsub.calls == [[b"a"], [b"a"]]

    run(publish(FakePubSub(UNAVAILABLE)))


# What may wait


def test_what_waits_for_pubsub_is_counted_until_its_word() -> None:
    async def publish(pubsub: FakePubSub) -> None:
        publisher = publisher_to(pubsub)
        waiting = asyncio.create_task(publisher.publish([b"12345", b"678"]))
        await others_have_run()
        assert publisher.pending_bytes == 5 + 3 + 2 * OVERHEAD_BYTES
        await asyncio.sleep(60)
        assert publisher.pending_bytes == 5 + 3 + 2 * OVERHEAD_BYTES
        pubsub.speaks.set()
        await waiting
        assert publisher.pending_bytes == 0

    run(publish(FakePubSub(is_silent=True)))


@pytest.mark.parametrize("failure", [None, UNAVAILABLE])
def test_a_full_queue_refuses_at_once_and_takes_again_after_pubsubs_word(failure: Exception | None) -> None:
    async def publish(pubsub: FakePubSub) -> None:
        publisher = publisher_to(pubsub, max_pending_bytes=2 * (10 + OVERHEAD_BYTES))
        waiting = asyncio.create_task(publish_at_once(publisher, [bytes(10)], [bytes(10)]))
        await others_have_run()
        with pytest.raises(Unavailable) as refused:
            await publisher.publish([b""])
        assert (refused.value.status, refused.value.code) == (503, "queue_full")
        assert refused.value.retry_after_seconds is not None
        pubsub.speaks.set()
        assert await waiting == [failure, failure]
        await publisher.publish([b""])
        assert pubsub.calls == [[bytes(10)] * 2, [b""]], "nothing of what was refused"

    run(publish(FakePubSub(failure, is_silent=True)))


def test_a_request_that_does_not_fit_is_refused_whole() -> None:
    pubsub = FakePubSub()
    publisher = publisher_to(pubsub, max_pending_bytes=100)
    (refused,) = run(publish_at_once(publisher, [bytes(20), bytes(20)]))
    assert refused.code == "queue_full"
    assert (publisher.pending_bytes, pubsub.calls) == (0, [])


# The end


def test_who_is_cancelled_harms_no_other_and_frees_what_waited() -> None:
    async def publish(pubsub: FakePubSub) -> None:
        publisher = publisher_to(pubsub)
        gone, stays = (asyncio.create_task(publisher.publish([message])) for message in (b"a", b"b"))
        await others_have_run()
        gone.cancel()
        await stays
        assert gone.cancelled()
        assert pubsub.calls == [[b"a", b"b"]]
        assert publisher.pending_bytes == 0

    run(publish(FakePubSub()))


def test_who_is_cancelled_during_a_call_that_fails_harms_no_other() -> None:
    async def publish(pubsub: FakePubSub) -> None:
        publisher = publisher_to(pubsub)
        gone, stays = (asyncio.create_task(publisher.publish([message])) for message in (b"a", b"b"))
        await asyncio.sleep(60)
        gone.cancel()
        pubsub.speaks.set()
        with pytest.raises(Unavailable):
            await stays
        assert gone.cancelled()
        assert publisher.pending_bytes == 0

    run(publish(FakePubSub(UNAVAILABLE, is_silent=True)))


def test_a_flush_sends_at_once_and_returns_with_pubsubs_word() -> None:
    async def publish(pubsub: FakePubSub) -> None:
        publisher = publisher_to(pubsub)
        waiting = asyncio.create_task(publisher.publish([b"a"]))
        await others_have_run()
        flushing = asyncio.create_task(publisher.flush())
        await others_have_run()
        assert pubsub.calls == [[b"a"]]
        assert pubsub.called_at[0] < GATHER_SECONDS
        assert not flushing.done()
        pubsub.speaks.set()
        await flushing
        await waiting
        assert pubsub.calls == [[b"a"]]
        assert publisher.pending_bytes == 0

    run(publish(FakePubSub(is_silent=True)))


def test_a_flush_outlives_a_call_that_fails() -> None:
    async def publish(pubsub: FakePubSub) -> list[Any]:
        publisher = publisher_to(pubsub)
        waiting = asyncio.create_task(publish_at_once(publisher, [b"a"]))
        await others_have_run()
        await publisher.flush()
        return await waiting

    assert run(publish(FakePubSub(UNAVAILABLE))) == [UNAVAILABLE]


def test_a_flush_of_nothing_returns() -> None:
    pubsub = FakePubSub()
    run(publisher_to(pubsub).flush())
    assert pubsub.calls == []
