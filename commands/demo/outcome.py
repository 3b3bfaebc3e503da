"""Reads the results of a bounded run from Redis and from its history, and compares them."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from segmentation.memberships import Membership
from segmentation.rules.compiled import Rules
from segmentation.timestamps import format_timestamp
from stores.segments.keys import DEFAULT_KEY_PREFIX
from stores.segments.reader import SegmentReader

Row = dict[str, Any]
"""A row of the history."""
Memberships = dict[tuple[str, str], str]
"""Maps (profile id, segment) to the time of entry."""


class SegmentNumbers(msgspec.Struct, frozen=True):
    """The numbers of one segment after a run."""

    version: str
    """The fingerprint of the segment's condition."""
    members: int
    entered: int
    """Memberships that began and lasted: those that ended at the same instant are left out."""
    exited: int
    """Ends of memberships that lasted."""
    corrections: int
    """Entries and exits that late events caused."""


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The results of a run."""

    numbers: dict[str, SegmentNumbers]
    """By segment. A segment comes after those that it refers to."""
    rows: list[Row]
    """The rows of the history without repeats, ordered by event time."""
    disagreements: list[str]
    """A line for each membership that differs between Redis and the history."""
    profiles: int
    """The number of profiles in Redis: those in a segment, or with a score, trait or measure to serve."""
    busiest: str | None
    """The id of the profile in the most segments; None if no segment has members."""
    snapshot: dict[str, str]
    """The fields of the profile `busiest` in Redis."""


def collect(rules: Rules, history: Iterable[Path], client: redis.Redis) -> RunResult:
    """Reads the results of a run.

    Args:
      rules: the rules of the run.
      history: the files of the history.
      client: a client of the run's Redis that returns bytes.
    """
    rows = read_history(history)
    recorded = memberships_of(rows)
    reader = SegmentReader(client, DEFAULT_KEY_PREFIX)
    segments_by_profile = dict(reader.segments_of(reader.profile_ids()))
    stored = _stored_memberships(segments_by_profile)
    segments_of = Counter(profile for profile, _ in stored)
    busiest = min(segments_of, key=lambda profile: (-segments_of[profile], profile), default=None)
    return RunResult(
        numbers=_numbers(rules, rows, stored),
        rows=rows,
        disagreements=disagreements(recorded, stored),
        profiles=len(segments_by_profile),
        busiest=busiest,
        snapshot={} if busiest is None else reader.fields(busiest),
    )


def read_history(files: Iterable[Path]) -> list[Row]:
    """Returns the rows in files of JSON lines, without repeats, ordered by event time."""
    rows = {}
    for file in files:
        with file.open("rb") as lines:
            for row in map(json.loads, lines):
                rows[row["change_id"], row["profile_version"]] = row
    return sorted(
        rows.values(), key=lambda row: (row["event_time"], row["profile_id"], row["profile_version"])
    )


def memberships_of(rows: Iterable[Row]) -> Memberships:
    """Returns the memberships at the end of a history."""
    members: Memberships = {}
    for row in sorted(rows, key=lambda row: row["profile_version"]):
        key = row["profile_id"], row["segment"]
        if row["change"] == "entered":
            members[key] = row["event_time"]
        else:
            members.pop(key, None)
    return members


def disagreements(recorded: Memberships, stored: Memberships) -> list[str]:
    """Returns a line for each membership that differs between the history and Redis."""
    lines = []
    for profile, segment in sorted(recorded.keys() | stored.keys()):
        by_history, by_redis = recorded.get((profile, segment)), stored.get((profile, segment))
        if by_history != by_redis:
            lines.append(
                f"{profile} in {segment}: {_since(by_history)} by the history, {_since(by_redis)} by Redis"
            )
    return lines


def pick_changes(rows: Sequence[Row], limit: int) -> list[Row]:
    """Returns at most `limit` rows of different kinds: corrections first, then the segments in turn."""
    kinds = Counter((row["segment"], row["change"], row["cause"]) for row in rows)
    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        first.setdefault((row["segment"], row["change"], row["cause"]), row)
    ranked = []
    rounds = Counter[str]()
    for kind in sorted(first, key=lambda kind: (kind[2] != "late_event", -kinds[kind], kind)):
        ranked.append((rounds[kind[0]], kind))
        rounds[kind[0]] += 1
    picked = [first[kind] for _, kind in sorted(ranked)[:limit]]
    return sorted(picked, key=lambda row: (row["event_time"], row["profile_version"]))


def _stored_memberships(segments_by_profile: Mapping[str, Mapping[str, Membership]]) -> Memberships:
    return {
        (profile_id, segment): format_timestamp(membership.entered_at_ms)
        for profile_id, segments in segments_by_profile.items()
        for segment, membership in segments.items()
    }


def momentary_memberships(rows: Iterable[Row]) -> Counter[str]:
    """Returns, by segment, the number of memberships that ended at the instant at which they began."""
    found = Counter[str]()
    entered_at: dict[tuple[str, str], str] = {}
    for row in sorted(rows, key=lambda row: row["profile_version"]):
        key = row["profile_id"], row["segment"]
        if row["change"] == "entered":
            entered_at[key] = row["event_time"]
        elif entered_at.pop(key, None) == row["event_time"]:
            found[row["segment"]] += 1
    return found


def _numbers(rules: Rules, rows: Sequence[Row], stored: Memberships) -> dict[str, SegmentNumbers]:
    members = Counter(segment for _, segment in stored)
    changes = Counter((row["segment"], row["change"]) for row in rows)
    corrections = Counter(row["segment"] for row in rows if row["correction"])
    momentary = momentary_memberships(rows)
    return {
        name: SegmentNumbers(
            rules.segment_by_name[name].version,
            members[name],
            changes[name, "entered"] - momentary[name],
            changes[name, "exited"] - momentary[name],
            corrections[name],
        )
        for name in rules.segment_by_name
    }


def _since(entered_at: str | None) -> str:
    return "no member" if entered_at is None else f"a member since {entered_at}"
