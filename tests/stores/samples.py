"""Snapshots, changes and stores for the tests of the segment store."""

import redis

from segmentation.memberships import Change, Snapshot
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOON_MS = 1_769_860_800_000  # 2026-01-31T12:00:00.000Z
KEY = "segments:profile:alice"


def snapshot(version=1, profile_id="alice", **fields):
    return Snapshot(profile_id, version, f"rules-{version}", NOON_MS, NOON_MS + 1, **fields)


def deleted(version, profile_id="alice"):
    return snapshot(version, profile_id, deleted=True)


def empty(version, profile_id="alice", was_served=False):
    """A snapshot that says nothing; by default of a profile of which no snapshot ever said anything."""
    return snapshot(version, profile_id, is_empty=True, is_visitor=True, was_served=was_served)


def change(number, profile_id="alice", expires_at_ms=None):
    return Change(
        f"change-{number}", profile_id, "loyal", "entered", NOON_MS + number, NOON_MS, expires_at_ms, number,
        "segment-version", "event", "message", False,
    )  # fmt: skip


def no_sleep(seconds):
    raise AssertionError("nothing should have to be tried again")


def store_of(server, **options):
    return SegmentStore(RedisTarget(server.url), ttl_ms=DAY_MS, **options)


def client_of(server):
    return redis.Redis.from_url(server.url, decode_responses=True)
