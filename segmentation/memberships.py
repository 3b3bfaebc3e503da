"""The results of evaluating a profile: membership changes and snapshots."""

import hashlib
from json.encoder import encode_basestring_ascii as _as_json
from typing import Any, Literal

import msgspec

from segmentation.timestamps import format_timestamp

Cause = Literal["event", "time", "late_event", "merge", "rules", "erasure", "forgotten"]


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """What triggers an evaluation: the cause of the changes, and the message id if it is an event."""

    cause: Cause
    message_id: str | None = None


TIME = Trigger("time")


class Membership(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A profile's current membership of one segment."""

    entered_at_ms: int
    expires_at_ms: int | None
    """The instant at which the membership ends if no further event comes; None: never."""


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry to a segment, or one exit."""

    change_id: str
    profile_id: str
    segment: str
    change: Literal["entered", "exited"]
    event_time_ms: int
    processed_at_ms: int
    expires_at_ms: int | None
    profile_version: int
    segment_version: str
    cause: Cause
    message_id: str | None
    correction: bool

    def row(self) -> dict[str, Any]:
        """Returns the row of the history table `segment_changes`, timestamps as RFC 3339 text."""
        expires_at = self.expires_at_ms
        return {
            "change_id": self.change_id,
            "profile_id": self.profile_id,
            "segment": self.segment,
            "change": self.change,
            "event_time": format_timestamp(self.event_time_ms),
            "processed_at": format_timestamp(self.processed_at_ms),
            "expires_at": None if expires_at is None else format_timestamp(expires_at),
            "profile_version": self.profile_version,
            "segment_version": self.segment_version,
            "cause": self.cause,
            "message_id": self.message_id,
            "correction": self.correction,
        }


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything that is served of one profile; it replaces the snapshot before."""

    profile_id: str
    version: int
    rules_version: str
    updated_at_ms: int
    """The profile time: the latest event time or timer that the profile has processed."""
    processed_at_ms: int
    segments: dict[str, Membership] = {}
    scores: dict[str, tuple[float, int]] = {}
    """Score name to its value and the instant in milliseconds at which it had that value."""
    measures: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    deleted: bool = False
    """Whether the profile was forgotten. Its version is kept for an hour."""
    is_empty: bool = False
    """Whether it says nothing: no segment, score or trait, and each measure has its value without events."""
    is_visitor: bool = False
    """Whether no event of the profile had a userId."""
    was_served: bool = True
    """Whether an earlier snapshot of the profile said something, so that its key can be in Redis."""


def change_id(
    profile_id: str,
    segment: str,
    change: str,
    event_time_ms: int,
    message_id: str | None,
    segment_version: str,
) -> str:
    """Returns the id of a change; recomputing the change gives the same id."""
    # the text that json.dumps makes of a list of these, which would take as long as the rest of a change
    message = "null" if message_id is None else _as_json(message_id)
    identity = (
        f"[{_as_json(profile_id)}, {_as_json(segment)}, {_as_json(change)}, {event_time_ms}, "
        f"{message}, {_as_json(segment_version)}]"
    )
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
