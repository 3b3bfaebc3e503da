"""Handles a request with events: authenticates it, reads it, publishes its messages to Pub/Sub, and counts them."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from starlette.requests import Request

from segmentation.identifiers import DEFAULT_IGNORED_IDS, IgnoredIds
from services.collector.bodies import BodyReader, may_have_key, open_batch, open_object, unpacked
from services.collector.client_address import client_address
from services.collector.completion import (
    MAX_COPIED_BYTES,
    MAX_USER_AGENT_CHARACTERS,
    Received,
    copied_bytes,
)
from services.collector.errors import RefusedRequest
from services.collector.fields import Fields
from services.collector.keys import WriteKeys, basic_user, text_field
from services.collector.memory_budget import (
    COPIES,
    MAX_PENDING_BYTES,
    MEMORY_PER_PENDING_BYTE,
    ArrivingBodies,
    MemoryBudget,
    memory_bytes,
)
from services.collector.messages import Messages, PlanCheck, Refusal, to_messages
from services.collector.metrics import Metrics
from services.collector.publisher import TopicPublisher
from services.collector.rates import TokenBucket
from services.collector.settings import Settings, Source
from stores.clock import Clock

_EVENT_OVERHEAD_BYTES = 512
"""What the collector adds to an event, at most, without the user agent and what the batch shares."""
_REFUSAL_BYTES = 512


class Answer(NamedTuple):
    """How many of a request's events were published, and which became dead letters; Pub/Sub has accepted all."""

    published: int
    dead_lettered: list[Refusal]


class Intake:
    """Handles requests with events.

    Args:
      settings: the sources and their write keys.
      events: publishes events.
      dead_letters: publishes dead letters.
      metrics: counts events.
      clock: returns the arrival time in Unix milliseconds.
      trusted_proxies: the number of trusted proxies in front.
      plan_check: compares each valid event with the tracking plan; None: no tracking plan.
      ignored_ids: ids that stand for no id.
      monotonic: returns monotonic seconds, for rate limits.
      max_pending_bytes: the most bytes that may wait for Pub/Sub, per topic.
    """

    def __init__(
        self,
        settings: Settings,
        events: TopicPublisher,
        dead_letters: TopicPublisher,
        metrics: Metrics,
        clock: Clock,
        trusted_proxies: int = 0,
        plan_check: PlanCheck | None = None,
        ignored_ids: IgnoredIds = DEFAULT_IGNORED_IDS,
        monotonic: Callable[[], float] = time.monotonic,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self._write_keys = WriteKeys(settings.sources)
        self._events = events
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._plan_check = plan_check
        self._ignored_ids = ignored_ids
        self._buckets = {
            source.name: TokenBucket(source.events_per_second, monotonic)
            for source in settings.sources
            if source.events_per_second is not None
        }
        self.memory = MemoryBudget(max_pending_bytes * MEMORY_PER_PENDING_BYTE)
        self.arriving = ArrivingBodies()

    async def take(self, request: Request, kind: str | None) -> Answer:
        """Publishes the events of a request, and returns when Pub/Sub has accepted every message.

        Args:
          request: its state gets the `source` as soon as the write key is known.
          kind: the type of call; None for a batch.

        Raises:
          RefusedRequest: the request failed; the client may send all of it again.
        """
        reader = BodyReader(request.receive)
        try:
            return await self._take(request, reader, kind)
        except RefusedRequest as refused:
            refused.closes_connection = not await reader.discard()
            raise

    async def _take(self, request: Request, reader: BodyReader, kind: str | None) -> Answer:
        received_at_ms = self._clock()
        # a key in the head is checked before a byte of the body is read
        write_key = _write_key_of_head(request)
        source = None if write_key is None else self.admit(request, write_key)
        address = self._address(request)
        packed = await reader.read(
            request.headers.get("content-length"), self.arriving, address, source.name if source else None
        )
        source, raw_events, fields = self._open(request, source, packed, kind)
        del packed
        self._limit_rate(source, len(raw_events))
        received = Received(
            received_at_ms,
            address,
            source.ip,
            request.headers.get("user-agent"),
            kind,
            {} if kind is not None else fields,
        )
        with self.memory.hold(_expected_bytes(raw_events, received)) as held:
            messages = to_messages(raw_events, received, self._plan_check, self._ignored_ids)
            del raw_events, fields, received
            held.resize(_held_bytes(messages))
            await self._publish(messages)
        self._count(source, messages)
        return Answer(len(messages.events), messages.refusals)

    def _open(
        self, request: Request, source: Source | None, packed: bytes, kind: str | None
    ) -> tuple[Source, list[bytes], Fields]:
        """Returns the source, the events, and the fields that these share; the key may be in the body."""
        body = unpacked(packed)
        if source is None and not may_have_key(body, self._write_keys.is_known):
            raise _bad_write_key()
        fields = open_object(body)
        if source is None:
            source = self.admit(request, text_field(fields, "writeKey"))
        return source, [body] if kind is not None else open_batch(fields.get("batch")), fields

    def admit(self, request: Request, write_key: str | None) -> Source:
        """Returns the source of a write key, and stores it in the request's state.

        Raises:
          RefusedRequest: no source has this key (401), the source is disabled (404), or it does not allow the
            page's origin (403).
        """
        source = self._write_keys.source(write_key) if write_key else None
        if source is None:
            raise _bad_write_key()
        request.state.source = source
        if not source.enabled:
            raise RefusedRequest(404, "source_disabled", "the source is disabled")
        origin = request.headers.get("origin")
        if origin is not None and not source.allows_origin(origin):
            raise RefusedRequest(403, "bad_origin", "the source does not allow this origin")
        return source

    def _address(self, request: Request) -> str | None:
        peer = request.client.host if request.client is not None else None
        return client_address(peer, request.headers.getlist("x-forwarded-for"), self._trusted_proxies)

    def _limit_rate(self, source: Source, events: int) -> None:
        bucket = self._buckets.get(source.name)
        wait_seconds = 0 if bucket is None else bucket.take(events)
        if wait_seconds:
            raise RefusedRequest(429, "rate_exceeded", "the source sends too much; try again", wait_seconds)

    async def _publish(self, messages: Messages) -> None:
        """Publishes to both topics; if one fails, the client sends all again, and `messageId` identifies repeats."""
        calls = []
        if messages.events:
            calls.append(self._events.publish(messages.events))
        if messages.dead_letters:
            calls.append(self._dead_letters.publish(messages.dead_letters))
        for error in await asyncio.gather(*calls, return_exceptions=True):
            if error is not None:
                raise error

    def _count(self, source: Source, messages: Messages) -> None:
        self._metrics.events.labels(source.name).inc(len(messages.events))
        for reason in messages.reasons:
            self._metrics.dead_letters.labels(source.name, reason).inc()
        if messages.flagged:
            self._metrics.flagged.labels(source.name).inc(messages.flagged)
        if messages.ignored_ids:
            self._metrics.ignored_ids.labels(source.name).inc(messages.ignored_ids)
        for repair, events in messages.repairs.items():
            self._metrics.repaired_times.labels(source.name, repair).inc(events)


def _write_key_of_head(request: Request) -> str | None:
    """Returns the write key of Basic authentication, the query or a header; None: it can be only in the body."""
    return (
        basic_user(request.headers.get("authorization"))
        or request.query_params.get("writeKey")
        or request.headers.get("x-write-key")
        or None
    )


def _bad_write_key() -> RefusedRequest:
    return RefusedRequest(401, "bad_write_key", "no source has this write key")


def _expected_bytes(raw_events: list[bytes], received: Received) -> int:
    """Returns about how much memory a request's messages will take, before they are made.

    Raises:
      RefusedRequest: the fields that the events share would be copied too often (413).
    """
    copied = copied_bytes(received.shared, len(raw_events))
    if copied > MAX_COPIED_BYTES:
        raise RefusedRequest(
            413,
            "too_large",
            f"context, integrations and sentAt of the batch would take {copied} bytes in {len(raw_events)} events:"
            f" at most {MAX_COPIED_BYTES} are allowed; send fewer events per batch, or a smaller context",
        )
    added = len(raw_events) * (
        _EVENT_OVERHEAD_BYTES + min(len(received.user_agent or ""), MAX_USER_AGENT_CHARACTERS)
    )
    return memory_bytes(raw_events) + COPIES * (copied + added)


def _held_bytes(messages: Messages) -> int:
    """Returns how much memory a request takes while it waits for Pub/Sub."""
    return (
        memory_bytes(messages.events)
        + memory_bytes(messages.dead_letters)
        + _REFUSAL_BYTES * len(messages.refusals)
    )
