"""Formats snapshots and changes as the fields that Redis stores."""

from typing import Any

import msgspec

from segmentation.memberships import Change, Snapshot
from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp
from stores.segments.keys import utf8

_JSON = msgspec.json.Encoder()
_JSON_INTEGER_BITS = 14_000
"""The longest integer that is written. The encoder writes up to 4,300 digits; this is about 4,200."""


Fields = tuple[str | bytes | int, ...]
"""Alternating names and values, as HSET and XADD take them."""
CHANGE_WORDS = 14
"""The number of names and values in a change's fields."""


def snapshot_fields(snapshot: Snapshot) -> Fields:
    """Returns the fields of a profile's hash, except `version`. The last one is `processed_at`."""
    segments = {
        name: {"entered_at": _timestamp(held.entered_at_ms), "expires_at": _expiry(held.expires_at_ms)}
        for name, held in snapshot.segments.items()
    }
    scores = {name: {"value": value, "at": _timestamp(at)} for name, (value, at) in snapshot.scores.items()}
    return (
        *("segments", _json(segments)),
        *("scores", _json(scores)),
        *("measures", _json(snapshot.measures)),
        *("predictions", b"{}"),
        *("traits", _json(snapshot.traits)),
        *("rules_version", snapshot.rules_version),
        *("updated_at", _timestamp(snapshot.updated_at_ms)),
        *("processed_at", _timestamp(snapshot.processed_at_ms)),
    )


def change_fields(change: Change) -> Fields:
    """Returns the fields of an entry of the stream: always the same names, which Redis stores once per block."""
    return (
        *("change_id", change.change_id),
        *("profile_id", utf8(change.profile_id)),
        *("segment", change.segment),
        *("change", change.change),
        *("event_time", _timestamp(change.event_time_ms)),
        *("expires_at", _expiry(change.expires_at_ms) or ""),
        *("profile_version", change.profile_version),
    )


def _expiry(ms: int | None) -> str | None:
    return None if ms is None else _timestamp(ms)


def _timestamp(ms: int) -> str:
    """Formats an instant, clamped to years 1 to 9999, because a deadline can be later."""
    return format_timestamp(ms if MIN_MS <= ms <= MAX_MS else MIN_MS if ms < MIN_MS else MAX_MS)


def _json(value: Any) -> bytes:
    """Returns valid JSON for any value from a message or computed from one; nan and inf become null."""
    try:
        return _JSON.encode(value)
    except ValueError:  # an unpaired surrogate, or an integer with thousands of digits
        return _JSON.encode(_representable(value))


def _representable(value: Any) -> Any:
    match value:
        case dict():
            return {_representable(name): _representable(member) for name, member in value.items()}
        case list() | tuple():
            return [_representable(member) for member in value]
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case int() if value.bit_length() > _JSON_INTEGER_BITS:
            return None
        case _:
            return value
