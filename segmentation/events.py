"""Parses and validates one message of the Segment spec; a valid message becomes an event."""

import json
import re
import zlib
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import orjson

from segmentation.identifiers import DEFAULT_IGNORED_IDS, IgnoredIds
from segmentation.timestamps import parse_timestamp

MAX_SENT_BYTES = 32 * 1024
"""The largest event that a client can send to a collector."""
MAX_PAYLOAD_BYTES = 48 * 1024
"""The largest message. A collector may add the difference to `MAX_SENT_BYTES` to an event."""
MAX_ID_BYTES = 512
"""The longest id in UTF-8. Ids are in keys, streams and states, which are bounded by the number of their entries."""
MAX_DEPTH = 512
"""The deepest that objects and lists can nest, counting the message itself; deeper ones exhaust the stack."""
MAX_AHEAD_MS = 5 * 60 * 1000
"""The most by which a live event's timestamp can be later than its publish time."""
_TYPES = frozenset({"track", "identify", "page", "screen", "group", "alias"})
_DIGITS_AS_ZEROS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_LONG_DIGITS = b"0" * 19
_MAX_INT_DIGITS = 4000
_TEXT_OR_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{\]}]', re.DOTALL)
_LEVELS = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_SURROGATES = re.compile(
    r"\\(?<!\\\\)((?:\\\\)*+)"
    r"(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
"""In JSON, a surrogate pair or a lone surrogate (the second group), after escaped backslashes (the first)."""
_OTHER_IDS = {"group": "groupId", "alias": "previousId"}
"""The ids of some types of calls. They may be absent, or of any type."""
_OBJECT_FIELDS = ("properties", "traits", "context")
_ABSENT: tuple[Any, ...] = (None, [])
"""PHP writes an empty object as an empty list."""
_MISSING_ID = "userId, anonymousId: expected a non-empty text in one"
_DAY_MS = 86_400_000


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One valid event.

    `name` is the `event` of a track call; for other calls it is `$page`, `$screen`, `$identify`, `$group` or `$alias`.
    """

    profile_id: str
    message_id: str
    name: str
    timestamp_ms: int
    payload: bytes
    has_user_id: bool = True
    """False if the message has only an `anonymousId`, so that the profile is a visitor."""
    content_digest: int = 0
    """16 bits of a hash of the name, `properties` and `traits`, which a delivery again does not change."""

    @property
    def message(self) -> dict[str, Any]:
        """The whole message, parsed at each access, because a waiting event takes less memory as bytes."""
        return _with_context_traits(_loads(self.payload))


class InvalidEvent(ValueError):
    """A message that cannot be processed. `reason` is a reason of a dead letter."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EventLimits(NamedTuple):
    """The limits of valid events that an installation sets."""

    ignored_ids: IgnoredIds = DEFAULT_IGNORED_IDS
    oldest_age_ms: int | None = None
    """The most by which a live event's timestamp can be earlier than its publish time; None: no limit."""


class ParsedEvent(NamedTuple):
    """A valid event."""

    event: Event
    message: dict[str, Any]
    """The parsed message, which equals `Event.message`."""
    ignored_ids: int
    """The number of ids of the message that stand for no id."""


DEFAULT_LIMITS = EventLimits()


def parse_event(
    payload: bytes, publish_time_ms: int | None = None, limits: EventLimits = DEFAULT_LIMITS
) -> Event:
    """Returns the event of one JSON message; see `parse_event_and_message`."""
    return parse_event_and_message(payload, publish_time_ms, limits).event


def parse_event_and_message(
    payload: bytes, publish_time_ms: int | None = None, limits: EventLimits = DEFAULT_LIMITS
) -> ParsedEvent:
    """Returns the event of one JSON message, with the parsed message.

    Args:
      payload: the body of a Pub/Sub message, or one line of a log, in UTF-8.
      publish_time_ms: when Pub/Sub received the message; a later event time is set to it. None for a log.
      limits: the limits of the installation.

    Raises:
      InvalidEvent: the message is not a valid event.
    """
    message = _parse_object(payload)
    kind = message.get("type")
    if kind.__class__ is not str or kind not in _TYPES:
        raise InvalidEvent("bad_type", f"type: expected one of {', '.join(sorted(_TYPES))}")
    message_id = _id(message, "messageId")
    if message_id is None:
        raise InvalidEvent("missing_message_id", "messageId: expected a non-empty text")
    user_id, anonymous_id = _id(message, "userId"), _id(message, "anonymousId")
    ignored_ids, ignores = 0, limits.ignored_ids.ignores
    if (user_id is not None and ignores(user_id)) or (anonymous_id is not None and ignores(anonymous_id)):
        user_id, anonymous_id, ignored_ids = _usable_ids(user_id, anonymous_id, limits.ignored_ids)
    profile_id = user_id or anonymous_id
    if profile_id is None:
        raise InvalidEvent("missing_id", _MISSING_ID)
    name = _track_name(message) if kind == "track" else "$" + kind
    if kind in _OTHER_IDS:
        _check_length(_OTHER_IDS[kind], message.get(_OTHER_IDS[kind]))
    timestamp_ms = _timestamp(message)
    for field in _OBJECT_FIELDS:
        value = message.get(field)
        if value.__class__ is not dict and value not in _ABSENT:
            raise InvalidEvent("bad_field", f"{field}: expected an object")
    if publish_time_ms is not None:
        timestamp_ms = _live_timestamp(timestamp_ms, publish_time_ms, limits.oldest_age_ms)
    message = _with_context_traits(message)
    digest = _content_digest(name, message)
    event = Event(profile_id, message_id, name, timestamp_ms, payload, user_id is not None, digest)
    return ParsedEvent(event, message, ignored_ids)


def _usable_ids(
    user_id: str | None, anonymous_id: str | None, ignored: IgnoredIds
) -> tuple[str | None, str | None, int]:
    """Returns a message's usable ids, at least one, and how many are ignored."""
    placeholders = []
    if user_id is not None and ignored.ignores(user_id):
        placeholders.append(f"userId {json.dumps(user_id[:40])}")
        user_id = None
    if anonymous_id is not None and ignored.ignores(anonymous_id):
        placeholders.append(f"anonymousId {json.dumps(anonymous_id[:40])}")
        anonymous_id = None
    if user_id is None and anonymous_id is None:
        raise InvalidEvent("missing_id", f"{_MISSING_ID}; {' and '.join(placeholders)} stands for no id")
    return user_id, anonymous_id, len(placeholders)


def _live_timestamp(timestamp_ms: int, publish_time_ms: int, oldest_age_ms: int | None) -> int:
    if timestamp_ms > publish_time_ms + MAX_AHEAD_MS:
        raise InvalidEvent("future_timestamp", "timestamp: more than 5 minutes after the publish time")
    if oldest_age_ms is not None and timestamp_ms < publish_time_ms - oldest_age_ms:
        days = oldest_age_ms / _DAY_MS
        raise InvalidEvent("too_old", f"timestamp: more than {days:g} days before the publish time")
    return min(timestamp_ms, publish_time_ms)


def _with_context_traits(message: dict[str, Any]) -> dict[str, Any]:
    """Gives an identify call without traits those of its context, where RudderStack's SDKs put them."""
    if message["type"] != "identify" or message.get("traits") not in _ABSENT:
        return message
    context = message.get("context")
    traits = context.get("traits") if context.__class__ is dict else None
    return message | {"traits": traits} if traits.__class__ is dict else message


def _content_digest(name: str, message: dict[str, Any]) -> int:
    content = [name, message.get("properties") or None, message.get("traits") or None]
    try:
        encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, or nested too deeply for orjson
        encoded = json.dumps(content, sort_keys=True).encode()
    return zlib.crc32(encoded) & 0xFFFF


def _parse_object(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InvalidEvent("too_large", f"{len(payload)} bytes: at most {MAX_PAYLOAD_BYTES} are allowed")
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and _depth(payload) > MAX_DEPTH:
        raise InvalidEvent("not_json", f"nested more than {MAX_DEPTH} levels deep")
    message = _loads(payload)
    if message.__class__ is not dict:
        raise InvalidEvent("not_an_object", "expected a JSON object")
    return message


def _depth(payload: bytes) -> int:
    """Returns how deep the brackets nest, without recursion."""
    levels = (_LEVELS.get(token, 0) for token in _TEXT_OR_BRACKET.findall(payload))
    return max(accumulate(levels), default=0)


def _loads(payload: bytes) -> Any:
    try:
        # orjson turns an integer beyond 64 bits into a double; ids must stay exact
        has_long_digits = _LONG_DIGITS in payload.translate(_DIGITS_AS_ZEROS)
        return _loads_exactly(payload) if has_long_digits else orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _loads_exactly(payload)


def _loads_exactly(payload: bytes) -> Any:
    """Parses JSON that orjson rejects or rounds: long integers, 1e400, lone surrogates."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise InvalidEvent("not_json", "not UTF-8") from None
    try:
        return json.loads(
            write_out_lone_surrogates(text), parse_int=_parse_int, parse_constant=_refuse_constant
        )
    except ValueError:
        raise InvalidEvent("not_json", "not JSON") from None


def write_out_lone_surrogates(text: str, at_most: int = 0) -> str:
    """Returns the JSON with each lone surrogate as literal text (`\\ud800`), because UTF-8 cannot encode it.

    Args:
      text: the JSON.
      at_most: surrogates after so many, lone or in pairs, stay as they are; 0: all are looked at.
    """
    return _SURROGATES.sub(_without_surrogate, text, count=at_most)


def _without_surrogate(found: re.Match[str]) -> str:
    return found[0] if found[2] is None else f"\\\\{found[1]}{found[2].lower()}"


def _parse_int(digits: str) -> int | float:
    # int() rejects longer texts, and no id or amount is that long
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(message: dict[str, Any], field: str) -> str | None:
    """Returns the field's text; None if it is absent, null or empty."""
    value = message.get(field)
    if value is None or value == "":
        return None
    if value.__class__ is not str:
        raise InvalidEvent("bad_field", f"{field}: expected a text")
    return value


def _id(message: dict[str, Any], field: str) -> str | None:
    """Returns the field's text, which is no longer than an id can be; None if it is absent, null or empty."""
    value = _text(message, field)
    if value is not None and len(value) * 4 > MAX_ID_BYTES:
        _check_length(field, value)
    return value


def _check_length(field: str, value: Any) -> None:
    if value.__class__ is str and (size := len(value.encode())) > MAX_ID_BYTES:
        raise InvalidEvent("bad_field", f"{field}: {size} bytes in UTF-8: at most {MAX_ID_BYTES} are allowed")


def _track_name(message: dict[str, Any]) -> str:
    name = _text(message, "event")
    if name is None:
        raise InvalidEvent("missing_event", "event: expected a non-empty text on a track call")
    if name[0] == "$":
        raise InvalidEvent("bad_field", "event: names that begin with $ are reserved")
    return name


def _timestamp(message: dict[str, Any]) -> int:
    value = message.get("timestamp")
    if value.__class__ is not str:
        raise InvalidEvent(
            "bad_timestamp", f"timestamp: expected a text in RFC 3339; found {_form_of(value)}"
        )
    try:
        return parse_timestamp(value)
    except ValueError as error:
        raise InvalidEvent("bad_timestamp", f"timestamp: {error}") from None


def _form_of(value: Any) -> str:
    if value is None:
        return "none"
    if value.__class__ in (int, float):
        return "a number, of seconds or milliseconds"
    return {dict: "an object", list: "a list"}.get(value.__class__, "true or false")
