"""Counts the bytes, snapshots and changes per event of the sample log."""

from typing import NamedTuple

import orjson

from benchmarks.data import repeated_events, rules_text
from segmentation.memberships import Change, Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Outcome, Profile, open_profile
from segmentation.rules.load import load_rules
from stores.segments.fields import snapshot_fields

EVENTS = 17_435
"""The whole log once: copies of it would change no mean."""


class Volumes(NamedTuple):
    """Means over the log."""

    events: int
    event_bytes: float
    """The size of a message's body."""
    snapshots_per_event: float
    snapshot_bytes: float
    changes_per_event: float
    """In the long run: every entry has an exit, even after the end of the log."""
    row_bytes: float
    """The size of a change as JSON."""
    state_bytes: float
    """The size of a profile's encoded state at the end of the log."""


def count_volumes(events: int = EVENTS) -> Volumes:
    """Counts over the first events of the log, with this shop's definitions."""
    log = repeated_events(events)
    rules = load_rules(rules_text())
    profiles: dict[str, Profile] = {}
    changes: list[Change] = []
    snapshots: list[Snapshot] = []
    for event in log:
        profile = profiles.get(event.profile_id)
        if profile is None:
            profile = open_profile(event.profile_id, rules, DEFAULT_PROFILE_TTL_MS, None, 0)
            profiles[event.profile_id] = profile
        _take(profile.apply(event), changes, snapshots)
    for profile in profiles.values():
        _take(profile.advance(log[-1].timestamp_ms), changes, snapshots)
    entries = sum(change.change == "entered" for change in changes)
    missing_exits = 2 * entries - len(changes)
    return Volumes(
        events=len(log),
        event_bytes=sum(len(event.payload) for event in log) / len(log),
        snapshots_per_event=(len(snapshots) + missing_exits) / len(log),
        snapshot_bytes=sum(map(_snapshot_bytes, snapshots)) / len(snapshots),
        changes_per_event=2 * entries / len(log),
        row_bytes=sum(len(orjson.dumps(change.row())) for change in changes) / len(changes),
        state_bytes=sum(len(profile.encode()) for profile in profiles.values()) / len(profiles),
    )


def _take(outcome: Outcome, changes: list[Change], snapshots: list[Snapshot]) -> None:
    changes += outcome.changes
    if outcome.snapshot is not None:
        snapshots.append(outcome.snapshot)


def _snapshot_bytes(snapshot: Snapshot) -> int:
    return sum(
        len(str(value)) if isinstance(value, int) else len(value) for value in snapshot_fields(snapshot)[1::2]
    )
