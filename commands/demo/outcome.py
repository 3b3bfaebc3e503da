"""What a bounded run left in Redis and in its history, put side by side."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from segmentation.rules.compiled import Rules
from segmentation.timestamps import format_timestamp
from stores.segments.keys import DEFAULT_KEY_PREFIX
from stores.segments.reader import SegmentReader

Row = dict[str, Any]
"""A row of the history."""
Memberships = dict[tuple[str, str], str]
"""(profile, segment) to the time of entry."""


class SegmentNumbers(msgspec.Struct, frozen=True):
    """What a run made of one segment."""

    version: str
    """A hash of what its condition means."""
    members: int
    entered: int
    exited: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    numbers: dict[str, SegmentNumbers]
    """By segment, each after those that it refers to."""
    rows: list[Row]
    """The history's rows, each once, in order of event time."""
    disagreements: list[str]
    """Memberships that Redis and the history do not tell alike."""
    profiles: int
    """How many profiles Redis holds."""
    busiest: str | None
    """The profile in the most segments; None if there are no members."""
    snapshot: dict[str, str]
    """That profile as Redis holds it."""


def collect(rules: Rules, history: Iterable[Path], client: redis.Redis) -> Outcome:
    """Reads the history's files, and Redis through a client that returns bytes."""
    rows = read_history(history)
    told = memberships_of(rows)
    reader = SegmentReader(client, DEFAULT_KEY_PREFIX)
    profile_ids = list(reader.profile_ids())
    stored = _stored_memberships(reader, profile_ids)
    segments_of = Counter(profile for profile, _ in stored)
    busiest = min(segments_of, key=lambda profile: (-segments_of[profile], profile), default=None)
    return Outcome(
        numbers=_numbers(rules, rows, stored),
        rows=rows,
        disagreements=disagreements(told, stored),
        profiles=len(profile_ids),
        busiest=busiest,
        snapshot={} if busiest is None else reader.fields(busiest),
    )


def read_history(files: Iterable[Path]) -> list[Row]:
    """Returns the rows in JSON lines, each once, in order of event time."""
    rows = {}
    for file in files:
        with file.open("rb") as lines:
            for row in map(json.loads, lines):
                rows[row["change_id"], row["profile_version"]] = row
    return sorted(
        rows.values(), key=lambda row: (row["event_time"], row["profile_id"], row["profile_version"])
    )


def memberships_of(rows: Iterable[Row]) -> Memberships:
    """Returns who is a member at the end of a history, since when."""
    members: Memberships = {}
    for row in sorted(rows, key=lambda row: row["profile_version"]):
        key = row["profile_id"], row["segment"]
        if row["change"] == "entered":
            members[key] = row["event_time"]
        else:
            members.pop(key, None)
    return members


def disagreements(told: Memberships, stored: Memberships) -> list[str]:
    """Returns a line for each membership that is not the same in the history and in Redis."""
    lines = []
    for profile, segment in sorted(told.keys() | stored.keys()):
        by_history, by_redis = told.get((profile, segment)), stored.get((profile, segment))
        if by_history != by_redis:
            lines.append(
                f"{profile} in {segment}: {_since(by_history)} by the history, {_since(by_redis)} by Redis"
            )
    return lines


def pick_changes(rows: Sequence[Row], limit: int) -> list[Row]:
    """Returns a few rows of many kinds: corrections first, and each segment before one again."""
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


def _stored_memberships(reader: SegmentReader, profile_ids: Iterable[str]) -> Memberships:
    return {
        (profile_id, segment): format_timestamp(membership.entered_at_ms)
        for profile_id, segments in reader.segments_of(profile_ids)
        for segment, membership in segments.items()
    }


def _numbers(rules: Rules, rows: Iterable[Row], stored: Memberships) -> dict[str, SegmentNumbers]:
    members = Counter(segment for _, segment in stored)
    changes = Counter((row["segment"], row["change"]) for row in rows)
    return {
        name: SegmentNumbers(
            rules.segment_by_name[name].version,
            members[name],
            changes[name, "entered"],
            changes[name, "exited"],
        )
        for name in rules.segment_by_name
    }


def _since(entered_at: str | None) -> str:
    return "no member" if entered_at is None else f"a member since {entered_at}"
