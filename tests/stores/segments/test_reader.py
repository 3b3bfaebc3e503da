"""The segment store's reader sees what the writer wrote."""

import pytest
import redis

from segmentation.memberships import Membership
from stores.redis.access import RedisTarget
from stores.segments.reader import SegmentReader, StoredMemberships
from stores.segments.writer import SegmentStore
from tests.stores.samples import DAY_MS, NOON_MS, change, deleted, no_sleep, snapshot

PREFIX = "shop[1]*:"
LOYAL = {"loyal": Membership(NOON_MS, NOON_MS + DAY_MS), "new": Membership(NOON_MS - 1, None)}


@pytest.fixture
def store(redis_url):
    return SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, key_prefix=PREFIX, sleep=no_sleep)


@pytest.fixture
def reader(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield SegmentReader(client, PREFIX)


def test_profiles_of_this_prefix_are_listed(store, reader, redis_client):
    store.write_snapshots([snapshot(profile_id="alice"), snapshot(profile_id="profile:ü")])
    redis_client.hset("shop1x:profile:mallory", "version", 1)
    assert sorted(reader.profile_ids()) == ["alice", "profile:ü"]


def test_fields_are_those_of_the_key(store, reader, redis_client):
    store.write_snapshots([snapshot(7, segments=LOYAL, traits={"plan": "gold"})])
    assert reader.fields("alice") == redis_client.hgetall(f"{PREFIX}profile:alice")
    assert reader.fields("bob") == {}


def test_memberships_are_those_of_the_snapshot(store, reader):
    store.write_snapshots([snapshot(7, segments=LOYAL)])
    assert reader.memberships("alice") == StoredMemberships(7, NOON_MS, LOYAL)
    assert reader.memberships("bob") is None


def test_a_deleted_profile_has_a_version_and_no_memberships(store, reader):
    store.write_snapshots([snapshot(7, segments=LOYAL), deleted(8)])
    assert reader.memberships("alice") == StoredMemberships(8, None, {})
    assert list(reader.segments_of(["alice"])) == []


def test_segments_of_many_profiles_stand_beside_their_ids(store, reader):
    store.write_snapshots([snapshot(profile_id="alice", segments=LOYAL), snapshot(profile_id="carol")])
    assert list(reader.segments_of(["carol", "bob", "alice"])) == [("carol", {}), ("alice", LOYAL)]


def test_changes_are_read_on_from_an_entry(store, reader):
    store.append_changes([change(number) for number in range(4)])
    first = reader.changes_after("0", 3, wait_ms=1)
    assert [fields["change_id"] for _, fields in first] == ["change-0", "change-1", "change-2"]
    rest = reader.changes_after(first[-1][0], 3, wait_ms=1)
    assert [fields["change_id"] for _, fields in rest] == ["change-3"]
    assert reader.changes_after(rest[0][0], 3, wait_ms=1) == []
