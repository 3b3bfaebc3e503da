"""The connection to Pub/Sub, against a server that accepts messages, says nothing, or is gone."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from services.collector.errors import Unavailable
from services.collector.publisher import PubSub
from tests.services.collector.pubsub_server import PubSubServer

TOPIC = "projects/p/topics/events"


def connected(
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    play: Callable[[PubSub], Coroutine[Any, Any, Any]],
    publish_seconds: float = 240,
) -> Any:
    """Plays with a connection to a host, and closes it."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)

    async def played() -> Any:
        connection = PubSub(publish_seconds)
        try:
            return await play(connection)
        finally:
            await connection.close()

    return asyncio.run(played())


def test_messages_are_accepted_over_a_connection_that_is_reachable(
    pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(connection: PubSub) -> None:
        assert await connection.is_reachable(240) is True
        await connection.publish(TOPIC, [b"one", b"x" * 5_000_000])

    connected(pubsub.host, monkeypatch, play)
    assert pubsub.accepted == [(TOPIC, [3, 5_000_000])]


def test_a_silent_pubsub_is_unavailable_and_named_once(
    pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "collector")

    async def play(connection: PubSub) -> int:
        pubsub.speaks.clear()
        for _ in range(2):
            with pytest.raises(Unavailable) as refused:
                await connection.publish(TOPIC, [b"one"])
            assert refused.value.code == "pubsub_unavailable"
        pubsub.speaks.set()
        while True:
            try:
                await connection.publish(TOPIC, [b"two"])
            except Unavailable:  # a slow machine
                continue
            return connection.refusals

    assert connected(pubsub.host, monkeypatch, play, publish_seconds=0.2) == 0, "silence is no refusal"
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("Pub/Sub does not accept messages (")
    assert caplog.messages[1] == "Pub/Sub accepts messages again"


def test_where_nothing_listens_there_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(connection: PubSub) -> bool:
        return await connection.is_reachable(0.01)

    assert connected("127.0.0.1:1", monkeypatch, play) is False
