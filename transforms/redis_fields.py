"""What Redis holds of snapshots and changes: the values of their fields, as text."""

from collections.abc import Sequence
from typing import Any

import msgspec

from segmentation.memberships import Change, Snapshot
from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp

_JSON = msgspec.json.Encoder()
_JSON_INTEGER_BITS = 1024
"""No reader's number is greater: what is left over counts as infinite."""


def snapshot_values(snapshot: Snapshot) -> Sequence[str | bytes]:
    """Returns the values of the fields that the script names, in its order."""
    segments = {
        name: {"entered_at": _timestamp(held.entered_at_ms), "expires_at": _expiry(held.expires_at_ms)}
        for name, held in snapshot.segments.items()
    }
    scores = {name: {"value": value, "at": _timestamp(at)} for name, (value, at) in snapshot.scores.items()}
    predictions = b"{}"
    return (
        _json(segments),
        _json(scores),
        _json(snapshot.measures),
        predictions,
        _json(snapshot.traits),
        snapshot.rules_version,
        _timestamp(snapshot.updated_at_ms),
        _timestamp(snapshot.processed_at_ms),
    )


def change_values(change: Change) -> Sequence[str | bytes | int]:
    return (
        change.change_id,
        utf8(change.profile_id),
        change.segment,
        change.change,
        _timestamp(change.event_time_ms),
        _expiry(change.expires_at_ms) or "",
        change.profile_version,
    )


def _expiry(ms: int | None) -> str | None:
    return None if ms is None else _timestamp(ms)


def _timestamp(ms: int) -> str:
    """Says an instant; one outside the years that can be said, such as a far deadline, is moved there."""
    return format_timestamp(ms if MIN_MS <= ms <= MAX_MS else MIN_MS if ms < MIN_MS else MAX_MS)


def _json(value: Any) -> bytes:
    """Returns valid JSON for whatever came out of JSON or was computed from it; nan and inf are null."""
    try:
        return _JSON.encode(value)
    except ValueError:  # half a surrogate pair, or an integer of thousands of digits
        return _JSON.encode(_sayable(value))


def _sayable(value: Any) -> Any:
    match value:
        case dict():
            return {_sayable(name): _sayable(member) for name, member in value.items()}
        case list() | tuple():
            return [_sayable(member) for member in value]
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case int() if value.bit_length() > _JSON_INTEGER_BITS:
            return None
        case _:
            return value


def utf8(text: str) -> bytes:
    """Encodes an id so that different ones stay different, half surrogate pairs included."""
    return text.encode("utf-8", "surrogatepass")
