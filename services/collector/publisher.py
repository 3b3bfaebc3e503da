"""Publishes to Pub/Sub: waits for its acknowledgement of every message, with a limit on the bytes that wait.

The batching publisher of google-cloud-pubsub costs a lock, a future and a switch of threads for each message. This one
batches on the event loop, a request's messages at a time, and calls the same package's asynchronous client.
"""

import asyncio
import logging
import os
from collections import deque
from typing import Any, NamedTuple

import grpc
from google.api_core import exceptions
from google.api_core.retry import AsyncRetry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1 import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.types import PublishRequest, PubsubMessage

from services.collector.errors import Unavailable, free_frames

GATHER_SECONDS = 0.005
"""How long the first message of a publish call waits for more messages."""
MAX_CALL_MESSAGES = 1000
MAX_CALL_BYTES = 9_000_000
"""Pub/Sub accepts at most 1,000 messages and 10 MB in one call."""
_MESSAGE_OVERHEAD_BYTES = 32
_CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
_TRANSIENT = if_exception_type(
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)


_PublishRequest = type(PublishRequest.pb(PublishRequest()))
_PubsubMessage = type(PubsubMessage.pb(PubsubMessage()))
"""The raw protobuf classes: Google's wrappers cost more than publishing itself."""
_REFUSALS = (exceptions.NotFound, exceptions.Forbidden)
_PERMISSION = "pubsub.topics.publish"
_LOOK_SECONDS = 1.0
_LOGGER = logging.getLogger("collector")


class TopicProblem(NamedTuple):
    """Why a topic takes no messages."""

    code: str
    message: str
    """A predicate, such as `does not exist`, with the fix."""


class PubSub:
    """A connection to Pub/Sub, or to the emulator that PUBSUB_EMULATOR_HOST names.

    Args:
      publish_seconds: the time limit of a publish call, including retries.
    """

    def __init__(self, publish_seconds: float) -> None:
        self._publish_seconds = publish_seconds
        self._is_unavailable = False
        self.refusals = 0
        """How many calls failed because a topic is missing or takes no messages of this collector."""
        emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
        if emulator:
            self._channel = grpc.aio.insecure_channel(emulator, options=_CHANNEL_OPTIONS)
        else:
            self._channel = PublisherGrpcAsyncIOTransport.create_channel(options=_CHANNEL_OPTIONS)
        transport = PublisherGrpcAsyncIOTransport(channel=self._channel)
        self._client = PublisherAsyncClient(transport=transport)
        self._retry = AsyncRetry(_TRANSIENT, initial=0.1, maximum=1.0, timeout=publish_seconds)

    async def publish(self, topic: str, messages: list[bytes]) -> None:
        """Publishes messages in one call, and returns when Pub/Sub has accepted every message.

        Transient errors are retried within the time limit.

        Raises:
          Unavailable: Pub/Sub failed or was too slow; it may have accepted some messages.
        """
        request = _PublishRequest(
            topic=topic, messages=[_PubsubMessage(data=message) for message in messages]
        )
        try:
            async with asyncio.timeout(self._publish_seconds):
                await self._client.publish(
                    PublishRequest.wrap(request), retry=self._retry, timeout=self._publish_seconds
                )
        except (exceptions.GoogleAPIError, GoogleAuthError, TimeoutError) as error:
            self.refusals += isinstance(error, _REFUSALS)
            cause = type(error).__name__
            free_frames(error)  # google.api_core's retries hold the request in a cycle
            if not self._is_unavailable:
                self._is_unavailable = True
                _LOGGER.warning("Pub/Sub does not accept messages (%s); requests get 503", cause)
            raise Unavailable(
                "pubsub_unavailable", f"Pub/Sub did not accept the events ({cause}); try again"
            ) from None
        if self._is_unavailable:
            self._is_unavailable = False
            _LOGGER.info("Pub/Sub accepts messages again")

    async def is_reachable(self, wait_seconds: float) -> bool:
        """Returns whether there is a connection, after waiting for one for at most `wait_seconds`."""
        state = self._channel.get_state(try_to_connect=True)
        try:
            async with asyncio.timeout(wait_seconds):
                while state is not grpc.ChannelConnectivity.READY:
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state(try_to_connect=True)
        except TimeoutError:
            return False
        return True

    async def topic_problem(self, topic: str) -> TopicProblem | None:
        """Returns why a topic takes no messages; None if it does. Publishes nothing, and asks at most a second."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await self._looked_up(topic)
        except exceptions.NotFound:
            return TopicProblem("topic_missing", "does not exist: create it, or correct the flag")
        except (exceptions.GoogleAPIError, GoogleAuthError, TimeoutError) as error:
            return TopicProblem("pubsub_unavailable", f"cannot be looked up ({type(error).__name__})")

    async def _looked_up(self, topic: str) -> TopicProblem | None:
        try:
            await self._client.get_topic(request={"topic": topic}, retry=None, timeout=_LOOK_SECONDS)
        except exceptions.Forbidden:  # roles/pubsub.publisher does not include a look at the topic
            request = {"resource": topic, "permissions": [_PERMISSION]}
            granted = await self._client.test_iam_permissions(
                request=request, retry=None, timeout=_LOOK_SECONDS
            )
            if _PERMISSION not in granted.permissions:
                fix = "create it, or grant this collector roles/pubsub.publisher on it"
                return TopicProblem("topic_forbidden", f"does not exist, or may not be published to: {fix}")
        return None

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()


class _Chunk(NamedTuple):
    """Messages of one request that are published in one call."""

    messages: list[bytes]
    size_bytes: int
    accepted: asyncio.Future[None]


class TopicPublisher:
    """Publishes to one topic, with the messages of several requests in one call.

    Args:
      pubsub: the connection.
      topic: projects/P/topics/T.
      max_pending_bytes: the most bytes that may wait for Pub/Sub's acknowledgement; more are refused.
    """

    def __init__(self, pubsub: PubSub, topic: str, max_pending_bytes: int) -> None:
        self._pubsub = pubsub
        self._topic = topic
        self._max_pending_bytes = max_pending_bytes
        self._pending_bytes = 0
        self._waiting: deque[_Chunk] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def pending_bytes(self) -> int:
        """The bytes that wait for Pub/Sub's acknowledgement."""
        return self._pending_bytes

    async def publish(self, messages: list[bytes]) -> None:
        """Publishes messages, and returns when Pub/Sub has accepted every message.

        Raises:
          Unavailable: too many bytes are waiting, or Pub/Sub failed; it may have accepted some messages.
        """
        chunks = _chunks(messages)
        size_bytes = sum(chunk.size_bytes for chunk in chunks)
        if self._pending_bytes + size_bytes > self._max_pending_bytes:
            raise Unavailable("queue_full", "too many bytes wait for Pub/Sub; try again")
        self._pending_bytes += size_bytes
        for chunk in chunks:
            self._waiting.append(chunk)
            self._waiting_bytes += chunk.size_bytes
        self._send_soon()
        results = await asyncio.gather(*(chunk.accepted for chunk in chunks), return_exceptions=True)
        for error in results:
            if error is not None:
                raise error

    async def flush(self) -> None:
        """Publishes the waiting messages, and returns when no call is in progress."""
        self._send_waiting()
        while self._calls:
            await asyncio.wait(self._calls)

    def _send_soon(self) -> None:
        if self._waiting_bytes >= MAX_CALL_BYTES:
            self._send_waiting()
        elif self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._send_waiting)

    def _send_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            call = [self._waiting.popleft()]
            count, size_bytes = len(call[0].messages), call[0].size_bytes
            while self._waiting:
                following = self._waiting[0]
                count, size_bytes = count + len(following.messages), size_bytes + following.size_bytes
                if count > MAX_CALL_MESSAGES or size_bytes > MAX_CALL_BYTES:
                    break
                call.append(self._waiting.popleft())
            task = asyncio.create_task(self._send(call))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        self._waiting_bytes = 0

    async def _send(self, call: list[_Chunk]) -> None:
        failure: Exception | None = None
        try:
            await self._pubsub.publish(self._topic, [message for chunk in call for message in chunk.messages])
        except Exception as error:  # noqa: BLE001 -- `publish` raises it to each waiting request
            failure = error
        self._pending_bytes -= sum(chunk.size_bytes for chunk in call)
        for chunk in call:
            if chunk.accepted.done():  # the waiting request was cancelled
                continue
            if failure is None:
                chunk.accepted.set_result(None)
            else:
                chunk.accepted.set_exception(failure)
        failure = None  # it holds this frame


def _chunks(messages: list[bytes]) -> list[_Chunk]:
    """Splits a request's messages into chunks that each fit into one call."""
    loop: Any = asyncio.get_running_loop()
    chunks: list[_Chunk] = []
    piece: list[bytes] = []
    size_bytes = 0
    for message in messages:
        message_bytes = len(message) + _MESSAGE_OVERHEAD_BYTES
        if piece and (len(piece) == MAX_CALL_MESSAGES or size_bytes + message_bytes > MAX_CALL_BYTES):
            chunks.append(_Chunk(piece, size_bytes, loop.create_future()))
            piece, size_bytes = [], 0
        piece.append(message)
        size_bytes += message_bytes
    if piece:
        chunks.append(_Chunk(piece, size_bytes, loop.create_future()))
    return chunks
