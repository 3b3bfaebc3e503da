"""Completes the events of a request: adds what only the collector knows, and the fields that the events share."""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from segmentation.events import MAX_SENT_BYTES, InvalidEvent
from segmentation.timestamps import format_timestamp
from services.collector.client_address import kept_address
from services.collector.event_times import EventTime, EventTimes, time_fields
from services.collector.fields import Fields, given, is_empty_list, is_object, object_fields, text
from services.collector.settings import IpSetting

MAX_SHARED_BYTES = 8 * 1024
"""The most bytes by which the fields of a batch can take an event beyond `MAX_SENT_BYTES`.

With `MAX_USER_AGENT_CHARACTERS` and the fields of known length, a completed event is smaller than the largest message
that the pipeline accepts.
"""
MAX_COPIED_BYTES = 8 * 1024 * 1024
"""The most bytes that the fields of a batch can take in all its events together."""
MAX_USER_AGENT_CHARACTERS = 1024
_NULL = msgspec.Raw(b"null")
_IDENTIFY = ("identify", msgspec.Raw(b'"identify"'))
_OBJECT_FIELDS = ("properties", "traits", "context", "integrations")
_SHARED_FIELDS = ("context", "integrations", "sentAt")
_Changed = dict[str, Any]
"""An object's fields. Replaced values are Python objects; the others keep their original bytes."""
_encode = msgspec.json.Encoder().encode


class Received(NamedTuple):
    """The metadata of a request, and the fields that its events share."""

    received_at_ms: int
    ip: str | None
    """The client's address."""
    ip_setting: IpSetting
    user_agent: str | None
    kind: str | None = None
    """The type of call, from the path; None for a batch, in which each event has its own `type`."""
    shared: Fields = {}
    """The top-level fields of a batch. `sentAt`, `context` and `integrations` are defaults for its events."""


class Completed(NamedTuple):
    """The message of an event."""

    payload: bytes
    problem: InvalidEvent | None
    """What is wrong with the event as it was sent, or with the fields that it shares."""
    repairs: set[str]
    """What was wrong with the device's times; see `EventTime`."""


class _Shared(NamedTuple):
    """The fields of a batch that apply to its events."""

    fields: Fields
    context: Fields | None
    """The fields of `context`; None if it is not an object."""
    size_bytes: int


_NOTHING_SHARED = _Shared({}, {}, 0)


class Completion:
    """Adds missing fields to the events of one request; their own values keep their original bytes."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._received_at = format_timestamp(received.received_at_ms)
        self._kept_ip = kept_address(received.ip, received.ip_setting)
        self._user_agent = received.user_agent and received.user_agent[:MAX_USER_AGENT_CHARACTERS]
        self._shared = _shared(received.shared)

    def complete(self, events: Sequence[bytes]) -> Iterator[Completed]:
        """Returns the messages of the request's events; what is not a JSON object is returned unchanged.

        They are made one at a time, because an opened event can take 30 times its bytes.
        """
        times = EventTimes(self._received.received_at_ms, self._shared.fields.get("sentAt")).of(
            [time_fields(raw) for raw in events]
        )
        for position, (raw, time) in enumerate(zip(events, times, strict=True)):
            yield self._completed(raw, position, object_fields(raw), time)

    def _completed(
        self, raw: bytes, position: int, fields: Fields | None, time: EventTime | None
    ) -> Completed:
        problem = _size_problem(len(raw), self._shared.size_bytes)
        if fields is None or time is None:
            return Completed(raw, problem, set())
        shared = self._shared
        if problem is not None:
            shared = _NOTHING_SHARED  # they would multiply the size of the batch
        elif shared.context is None:
            problem = InvalidEvent("bad_field", "context of the batch: expected an object")
        return Completed(self._message(raw, position, fields, time, shared), problem, time.repairs)

    def _message(self, raw: bytes, position: int, own: Fields, time: EventTime, shared: _Shared) -> bytes:
        fields: _Changed = own
        fields.pop("writeKey", None)
        _drop_empty_lists(fields)
        if self._received.kind is not None:
            fields["type"] = self._received.kind
        if given(fields, "messageId") is None:
            fields["messageId"] = _message_id(raw, position, has_own_time=time.has_own_time)
        if "integrations" in shared.fields:
            fields.setdefault("integrations", shared.fields["integrations"])
        if "sentAt" in shared.fields and not time.has_own_sent_at:
            fields["sentAt"] = shared.fields["sentAt"]
        fields |= time.fields
        fields["receivedAt"] = self._received_at
        self._complete_context(fields, shared, len(raw))
        return _encode(fields)

    def _complete_context(self, fields: _Changed, shared: _Shared, sent_bytes: int) -> None:
        own = object_fields(fields["context"]) if fields.get("context", _NULL) != _NULL else {}
        if own is None:  # not an object: parse_event will reject the event
            return
        if shared.context is None and not own:
            fields["context"] = shared.fields["context"]
            return
        context: _Changed = {**(shared.context or {}), **own}
        room_bytes = MAX_SENT_BYTES + MAX_SHARED_BYTES - sent_bytes - shared.size_bytes
        _complete_traits(fields, context.get("traits", _NULL), room_bytes)
        self._complete_ip(context)
        if self._user_agent:
            context.setdefault("userAgent", self._user_agent)
        if context or own:  # also an empty one: it replaces a context that had nothing but an address
            fields["context"] = context

    def _complete_ip(self, context: _Changed) -> None:
        """Stores the part of the IP address that the setting allows: of the event's own, else of the client's."""
        setting, own = self._received.ip_setting, given(context, "ip")
        kept: Any = self._kept_ip
        if own is not None:
            kept = own if setting == "keep" else kept_address(text(own), setting)
        context.pop("ip", None)
        if kept is not None:
            context["ip"] = kept


def copied_bytes(batch: Fields, events: int) -> int:
    """Returns how many bytes the fields of a batch take in all its events together."""
    return events * _shared(batch).size_bytes


def _shared(batch: Fields) -> _Shared:
    fields = {name: value for name in _SHARED_FIELDS if (value := given(batch, name)) is not None}
    _drop_empty_lists(fields)
    context = object_fields(fields["context"]) if "context" in fields else {}
    return _Shared(fields, context, sum(len(memoryview(value)) for value in fields.values()))


def _size_problem(sent_bytes: int, shared_bytes: int) -> InvalidEvent | None:
    """Returns what is wrong with the size of an event as it was sent, before the collector adds anything."""
    if sent_bytes > MAX_SENT_BYTES:
        return InvalidEvent("too_large", f"{sent_bytes} bytes: at most {MAX_SENT_BYTES} are allowed")
    if sent_bytes + shared_bytes > MAX_SENT_BYTES + MAX_SHARED_BYTES:
        return InvalidEvent(
            "too_large",
            f"{sent_bytes + shared_bytes} bytes with context, integrations and sentAt of the batch:"
            f" at most {MAX_SENT_BYTES + MAX_SHARED_BYTES} are allowed",
        )
    return None


def _complete_traits(fields: _Changed, context_traits: msgspec.Raw, room_bytes: int) -> None:
    """Copies an identify call's traits from the context, where RudderStack's SDKs put them.

    The pipeline finds them in the context too, so those that take too much room stay there.
    """
    if given(fields, "type") not in _IDENTIFY or given(fields, "traits") is not None:
        return
    if is_object(context_traits) and len(memoryview(context_traits)) <= room_bytes:
        fields["traits"] = context_traits


def _drop_empty_lists(fields: _Changed) -> None:
    """Drops empty lists where objects belong: PHP writes an empty object so."""
    for name in _OBJECT_FIELDS:
        if name in fields and is_empty_list(fields[name]):
            del fields[name]


def _message_id(raw: bytes, position: int, *, has_own_time: bool) -> str:
    """Returns an id that is the same when the same request is sent again.

    An event without a timestamp of its own gets its arrival time and a random id, so each one is a new event.
    """
    if not has_own_time:
        return uuid.uuid4().hex
    return hashlib.blake2b(b"%d " % position + raw, digest_size=16).hexdigest()
