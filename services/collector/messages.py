"""Turns a request's events into messages for Pub/Sub: adds missing fields, and makes bad events dead letters."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
import orjson

from segmentation.dead_letters import DeadLetter
from segmentation.events import InvalidEvent, parse_event_and_message
from segmentation.timestamps import format_timestamp
from services.collector.bodies import Fields
from services.collector.client_address import kept_address
from services.collector.clock_correction import clock_error_ms, corrected
from services.collector.settings import IpSetting

STEP = "Collector"
"""The name of the step in dead letters."""
_NULL = msgspec.Raw(b"null")
_ABSENT = (_NULL, msgspec.Raw(b'""'))
_IDENTIFY = ("identify", msgspec.Raw(b'"identify"'))
_Changed = dict[str, Any]
"""An object's fields. Replaced values are Python objects; the others keep their original bytes."""
_fields_decoder = msgspec.json.Decoder(Fields)
_encode = msgspec.json.Encoder().encode


class PlanViolation(NamedTuple):
    """The violations of one event, and what the tracking plan does with it."""

    on_violation: Literal["reject", "flag"]
    message: str
    """All violations, with the fields' paths; it contains no user data."""


PlanCheck = Callable[[str, dict[str, Any]], PlanViolation | None]
"""Compares a valid event, given by its name and its parsed message, with the tracking plan; returns None if it has no
violation.
"""


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


class Messages(NamedTuple):
    """The messages to publish for one request."""

    events: list[bytes]
    dead_letters: list[bytes]
    reasons: list[str]
    """The reason of each dead letter."""
    flagged: int
    """The number of events that violate the tracking plan and are published nevertheless."""


def to_messages(events: list[bytes], received: Received, plan_check: PlanCheck | None = None) -> Messages:
    """Returns the messages of a request's events; a bad event becomes a dead letter and does not affect the others."""
    completion = _Completion(received)
    payloads, dead_letters, reasons, flagged = [], [], [], 0
    for position, raw in enumerate(events):
        payload = completion.complete(raw, position)
        try:
            event, message, _ = parse_event_and_message(payload, received.received_at_ms)
            violation = plan_check(event.name, message) if plan_check is not None else None
            if violation is not None and violation.on_violation == "reject":
                raise InvalidEvent("tracking_plan", violation.message)
        except InvalidEvent as error:
            letter = DeadLetter(payload, STEP, error.reason, str(error), received.received_at_ms)
            dead_letters.append(orjson.dumps(letter.row()))
            reasons.append(error.reason)
        else:
            payloads.append(payload)
            flagged += violation is not None
    return Messages(payloads, dead_letters, reasons, flagged)


class _Completion:
    """Adds missing fields to the events of one request; their own values keep their original bytes."""

    def __init__(self, received: Received) -> None:
        shared = received.shared
        self._received = received
        self._kept_ip = kept_address(received.ip, received.ip_setting)
        self._received_at = format_timestamp(received.received_at_ms)
        self._shared_sent_at = _given(shared, "sentAt")
        self._shared_integrations = _given(shared, "integrations")
        self._shared_context = _object(shared.get("context")) or {}
        self._clock_error_ms = clock_error_ms(_text(self._shared_sent_at), received.received_at_ms)

    def complete(self, raw: bytes, position: int) -> bytes:
        """Returns the message of an event; an event that is not a JSON object is returned unchanged."""
        fields = _object(raw)
        if fields is None:
            return raw
        fields.pop("writeKey", None)
        if self._received.kind is not None:
            fields["type"] = self._received.kind
        if _given(fields, "messageId") is None:
            fields["messageId"] = _message_id(raw, position, has_own_time=_own_time(fields) is not None)
        if self._shared_integrations is not None:
            fields.setdefault("integrations", self._shared_integrations)
        self._complete_times(fields)
        self._complete_context(fields)
        return _encode(fields)

    def _complete_times(self, fields: _Changed) -> None:
        sent_at, error_ms = _given(fields, "sentAt"), self._clock_error_ms
        if sent_at is not None:
            error_ms = clock_error_ms(_text(sent_at), self._received.received_at_ms)
        elif self._shared_sent_at is not None:
            fields["sentAt"] = self._shared_sent_at
        own_time = _own_time(fields)
        text = _text(own_time) if error_ms else None
        if text is not None:
            fields["originalTimestamp"], fields["timestamp"] = own_time, corrected(text, error_ms)
        else:
            fields["timestamp"] = self._received_at if own_time is None else own_time
        fields["receivedAt"] = self._received_at

    def _complete_context(self, fields: _Changed) -> None:
        context = _object(fields["context"]) if fields.get("context", _NULL) != _NULL else {}
        if context is None:  # not an object: parse_event will reject the event
            return
        if _given(fields, "type") in _IDENTIFY and "traits" in context and _given(fields, "traits") is None:
            fields["traits"] = context["traits"]  # RudderStack's SDKs put them there
        context = {**self._shared_context, **context}
        self._complete_ip(context)
        if self._received.user_agent is not None:
            context.setdefault("userAgent", self._received.user_agent)
        if context:
            fields["context"] = context

    def _complete_ip(self, context: _Changed) -> None:
        """Stores the part of the IP address that the setting allows: of the event's own, else of the client's."""
        setting, own = self._received.ip_setting, _given(context, "ip")
        kept: Any = self._kept_ip
        if own is not None:
            kept = own if setting == "keep" else kept_address(_text(own), setting)
        context.pop("ip", None)
        if kept is not None:
            context["ip"] = kept


def _message_id(raw: bytes, position: int, *, has_own_time: bool) -> str:
    """Returns an id that is the same when the same request is sent again.

    An event without a timestamp of its own gets its arrival time and a random id, so each one is a new event.
    """
    if not has_own_time:
        return uuid.uuid4().hex
    return hashlib.blake2b(b"%d " % position + raw, digest_size=16).hexdigest()


def _own_time(fields: _Changed) -> msgspec.Raw | None:
    timestamp = _given(fields, "timestamp")
    return _given(fields, "originalTimestamp") if timestamp is None else timestamp


def _given(fields: Mapping[str, Any], name: str) -> msgspec.Raw | None:
    """Returns the field's bytes; None if it is missing, null or an empty text."""
    value: msgspec.Raw | None = fields.get(name)
    return None if value is None or value in _ABSENT else value


def _object(raw: Any) -> _Changed | None:
    try:
        return _fields_decoder.decode(raw) if raw is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _text(value: msgspec.Raw | None) -> str | None:
    try:
        return msgspec.json.decode(value, type=str) if value is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
