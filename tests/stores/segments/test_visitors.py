"""Redis agrees with the history about a visitor, whatever comes late, twice or not at all, and whatever has expired."""

import json

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation.events import parse_event
from segmentation.memberships import Change, Snapshot
from segmentation.profile.profile import open_profile
from segmentation.rules.load import load_rules
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore
from tests.events import START_MS, message
from tests.stores.samples import DAY_MS, HOUR_MS, KEY, no_sleep

RULES = load_rules("""
version: 1
measures:
  carts: {event: Cart Viewed, within: 10m, count: {}}
scores:
  interest: {earn: [{event: Product Added, points: 1}]}
segments:
  in_cart: {when: {all: [{event: Cart Viewed, within: 10m}, {not: {event: Cart Closed, within: 10m}}]}}
  keen: {when: {event: Product Viewed, within: 10m, count: {at_least: 2}}}
""")
TTL_MS, IDLE_TTL_MS = 30 * DAY_MS, 2 * DAY_MS
EVENTS = ["$page", "Product Viewed", "Cart Viewed", "Cart Closed", "Product Added"]
logs = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(EVENTS), st.sampled_from([False, False, False, True])),
    max_size=8,
)
"""Minutes, event, and whether the event has a userId."""
Log = list[tuple[int, str, bool]]


@pytest.fixture
def store(redis_url: str) -> SegmentStore:
    return SegmentStore(RedisTarget(redis_url), ttl_ms=TTL_MS, idle_ttl_ms=IDLE_TTL_MS, sleep=no_sleep)


def outputs(log: Log) -> tuple[list[Snapshot], list[Change]]:
    """Returns what the profile `alice` makes of a log, in order of its arrival, and of an hour of silence after it."""
    snapshots, changes = [], []
    profile = open_profile("alice", RULES, TTL_MS, None, START_MS)
    for number, (minutes, name, has_user_id) in enumerate(log):
        body = message(60 * minutes, name, "alice", f"m{number}")
        if not has_user_id:
            body["anonymousId"] = body.pop("userId")
        outcome = profile.apply(parse_event(json.dumps(body).encode()))
        snapshots.append(outcome.snapshot)
        changes += outcome.changes
    for minutes in (45, 60):
        outcome = profile.advance(START_MS + 60_000 * minutes)
        snapshots.append(outcome.snapshot)
        changes += outcome.changes
    return [snapshot for snapshot in snapshots if snapshot is not None], changes


def members_of(changes: list[Change]) -> set[str]:
    members: set[str] = set()
    for change in changes:
        (members.add if change.change == "entered" else members.discard)(change.segment)
    return members


def stored_members(client: redis.Redis) -> set[str]:
    segments: str | None = client.hget(KEY, "segments")  # type: ignore[assignment]
    return set(json.loads(segments or "{}"))


def random_logs(test):
    return settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )(test)


@random_logs
@given(logs, st.data())
def test_any_order_and_any_repeats_end_as_the_history_does(
    store: SegmentStore, redis_client: redis.Redis, log: Log, data: st.DataObject
) -> None:
    redis_client.flushall()
    snapshots, changes = outputs(log)
    for snapshot in data.draw(st.permutations(snapshots + snapshots[::2])):
        store.write_snapshots([snapshot])
    assert stored_members(redis_client) == members_of(changes)
    if all(snapshot.is_empty for snapshot in snapshots):
        assert redis_client.keys() == []


@random_logs
@given(logs, st.data())
def test_a_key_that_expires_hides_no_membership_and_comes_back_whole(
    store: SegmentStore, redis_client: redis.Redis, log: Log, data: st.DataObject
) -> None:
    """Between two snapshots, the key of a visitor without any membership can expire at any time."""
    redis_client.flushall()
    snapshots, changes = outputs(log)
    for snapshot in snapshots:
        store.write_snapshots([snapshot])
        left_ms: int = redis_client.pttl(KEY)
        if snapshot.is_empty:
            assert redis_client.hgetall(KEY) in ({}, {"version": str(snapshot.version)})
            assert left_ms <= HOUR_MS
        else:
            assert redis_client.hget(KEY, "version") == str(snapshot.version)
            assert stored_members(redis_client) == snapshot.segments.keys()
            is_idle = snapshot.is_visitor and not snapshot.segments
            longest_ms, shortest_ms = (IDLE_TTL_MS, HOUR_MS) if is_idle else (TTL_MS, IDLE_TTL_MS)
            assert shortest_ms < left_ms <= longest_ms
        if left_ms <= IDLE_TTL_MS and data.draw(st.booleans()):
            redis_client.delete(KEY)
    assert stored_members(redis_client) == members_of(changes)
