"""The segment store's writes to a real server, and the keys that it leaves unchanged."""

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation.memberships import Membership
from segmentation.profile.versions import LAST_VERSION
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore, SegmentStoreError, WriteResult
from tests.stores.samples import (
    DAY_MS,
    HOUR_MS,
    KEY,
    NOON_MS,
    change,
    client_of,
    deleted,
    empty,
    snapshot,
    store_of,
)
from tests.waiting import until


class TestSnapshot:
    def test_is_written_whole(self, store, redis_client):
        written = snapshot(
            7,
            segments={"loyal": Membership(NOON_MS, NOON_MS + DAY_MS), "new": Membership(NOON_MS - 1, None)},
            scores={"engagement": (0.5, NOON_MS)},
            measures={"orders": 3, "brands": ["a", "b"], "last": None},
            traits={"plan": "gold", "address": {"city": "Köln"}},
        )
        assert store.write_snapshots([written]) == WriteResult(accepted=1, stale=0, repeated=0)
        fields = redis_client.hgetall(KEY)
        objects = ("segments", "scores", "measures", "predictions", "traits")
        assert {name: json.loads(fields.pop(name)) for name in objects} == {
            "segments": {
                "loyal": {"entered_at": "2026-01-31T12:00:00.000Z", "expires_at": "2026-02-01T12:00:00.000Z"},
                "new": {"entered_at": "2026-01-31T11:59:59.999Z", "expires_at": None},
            },
            "scores": {"engagement": {"value": 0.5, "at": "2026-01-31T12:00:00.000Z"}},
            "measures": {"orders": 3, "brands": ["a", "b"], "last": None},
            "predictions": {},
            "traits": {"plan": "gold", "address": {"city": "Köln"}},
        }
        assert fields == {
            "version": "7",
            "rules_version": "rules-7",
            "updated_at": "2026-01-31T12:00:00.000Z",
            "processed_at": "2026-01-31T12:00:00.001Z",
        }

    def test_a_newer_one_replaces_everything(self, store, redis_client):
        store.write_snapshots([snapshot(1, segments={"loyal": Membership(0, None)}, traits={"plan": "gold"})])
        redis_client.hset(KEY, "merged_into", "bob")
        assert store.write_snapshots([snapshot(2, segments={"new": Membership(0, None)})]).accepted == 1
        fields = redis_client.hgetall(KEY)
        assert list(json.loads(fields["segments"])) == ["new"]
        assert fields["traits"] == "{}"
        assert fields["version"] == "2"
        assert "merged_into" not in fields

    @pytest.mark.parametrize(
        "old", [snapshot(4), snapshot(5, traits={"plan": "none"}), deleted(4), deleted(5)]
    )
    def test_a_stale_or_repeated_one_changes_nothing(self, store, redis_client, old):
        store.write_snapshots([snapshot(5, traits={"plan": "gold"})])
        redis_client.pexpire(KEY, HOUR_MS)
        before = redis_client.hgetall(KEY)
        repeated = old.version == 5
        assert store.write_snapshots([old]) == WriteResult(0, int(not repeated), int(repeated))
        assert redis_client.hgetall(KEY) == before
        assert redis_client.pttl(KEY) <= HOUR_MS

    def test_only_the_newest_of_a_batch_is_sent(self, store, redis_client):
        batch = [snapshot(2, "bob"), snapshot(1), snapshot(3), snapshot(3), snapshot(2), snapshot(1, "bob")]
        assert store.write_snapshots(iter(batch)) == WriteResult(accepted=2, stale=0)
        assert redis_client.hget(KEY, "version") == "3"
        assert redis_client.hget("segments:profile:bob", "version") == "2"

    def test_an_empty_batch_is_not_sent(self, own_server):
        own_server.stop()
        assert store_of(own_server).write_snapshots([]) == WriteResult(0, 0)
        assert store_of(own_server).append_changes([]) == 0

    def test_versions_are_distinct_up_to_the_limit(self, store, redis_client):
        for version in (2**53 - 3, 2**53 - 2, 2**53 - 1):
            assert store.write_snapshots([snapshot(version)]).accepted == 1
            assert redis_client.hget(KEY, "version") == str(version)
        assert store.write_snapshots([snapshot(2**53 - 2)]).stale == 1
        with pytest.raises(ValueError, match="version must be in"):
            store.write_snapshots([snapshot(2**53)])

    def test_at_the_last_version_each_snapshot_is_written(self, store, redis_client):
        for plan in ("silver", "gold"):
            written = snapshot(LAST_VERSION, traits={"plan": plan})
            assert store.write_snapshots([snapshot(LAST_VERSION), written]).accepted == 1
            assert json.loads(redis_client.hget(KEY, "traits")) == {"plan": plan}
        assert store.write_snapshots([snapshot(LAST_VERSION - 1)]).stale == 1

    def test_a_stale_one_that_was_processed_later_shows_another_writer(self, store, redis_client):
        store.write_snapshots([snapshot(5)])
        before = redis_client.hgetall(KEY)
        for later_ms, result in (
            (-1, WriteResult(0, stale=1)),
            (0, WriteResult(0, stale=1)),
            (1, WriteResult(0, stale=0, taken_over=1)),
            (HOUR_MS, WriteResult(0, stale=0, taken_over=1)),
        ):
            one = msgspec.structs.replace(snapshot(4), processed_at_ms=snapshot(5).processed_at_ms + later_ms)
            assert store.write_snapshots([one]) == result
        assert redis_client.hgetall(KEY) == before

    def test_without_the_time_of_either_a_stale_one_is_only_stale(self, store):
        store.write_snapshots([snapshot(5), deleted(5, "bob")])
        later_ms = NOON_MS + HOUR_MS
        for one in (deleted(4), snapshot(4, "bob")):
            result = store.write_snapshots([msgspec.structs.replace(one, processed_at_ms=later_ms)])
            assert result == WriteResult(0, stale=1)

    def test_one_profile_does_not_hide_another(self, store, redis_client):
        ids = ["a", "A", "a b", "a:b", "a\n", "ä", "{a}", "\ud800", "?", "\ufffd", ""]
        assert store.write_snapshots(snapshot(1, profile_id) for profile_id in ids).accepted == len(ids)
        assert redis_client.dbsize() == len(ids)

    def test_prefixes_do_not_mix(self, redis_url, redis_client):
        for prefix in ("", "ä:", "segments:"):
            SegmentStore(RedisTarget(redis_url), key_prefix=prefix, ttl_ms=DAY_MS).write_snapshots(
                [snapshot()]
            )
        assert sorted(redis_client.keys()) == ["profile:alice", "segments:profile:alice", "ä:profile:alice"]

    def test_more_than_fits_one_reply_buffer(self, store, redis_client):
        batch = [snapshot(1, str(number), traits={"text": "x" * 10_000}) for number in range(2_000)]
        assert store.write_snapshots(batch).accepted == 2_000
        assert redis_client.dbsize() == 2_000


class TestTimeToLive:
    def test_every_key_has_one(self, store, redis_client):
        store.write_snapshots([snapshot(1), deleted(1, "bob"), snapshot(1, "carol")])
        store.write_snapshots([deleted(2, "carol")])
        store.append_changes([change(1)])
        left = {key: redis_client.pttl(key) for key in redis_client.keys()}
        assert left.keys() == {
            KEY, "segments:profile:bob", "segments:profile:carol", "segments:changes"
        }  # fmt: skip
        assert 0 < left["segments:profile:bob"] <= HOUR_MS
        assert 0 < left["segments:profile:carol"] <= HOUR_MS
        assert HOUR_MS < left[KEY] <= DAY_MS
        assert HOUR_MS < left["segments:changes"] <= DAY_MS

    def test_a_write_begins_it_anew(self, store, redis_client):
        store.write_snapshots([snapshot(1)])
        store.append_changes([change(1)])
        for key in (KEY, "segments:changes"):
            redis_client.pexpire(key, HOUR_MS)
        store.write_snapshots([snapshot(2)])
        store.append_changes([change(2)])
        assert redis_client.pttl(KEY) > HOUR_MS
        assert redis_client.pttl("segments:changes") > HOUR_MS

    @pytest.mark.parametrize("ttl_ms", [0, -1, 2**53])
    def test_must_be_one_that_redis_understands(self, redis_url, ttl_ms):
        with pytest.raises(ValueError, match="^ttl_ms must be in"):
            SegmentStore(RedisTarget(redis_url), ttl_ms=ttl_ms)
        with pytest.raises(ValueError, match="^idle_ttl_ms must be in"):
            SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, idle_ttl_ms=ttl_ms)

    def test_is_short_for_a_visitor_without_any_membership(self, redis_url, redis_client):
        store = SegmentStore(RedisTarget(redis_url), ttl_ms=400 * DAY_MS, idle_ttl_ms=DAY_MS)
        member = {"loyal": Membership(NOON_MS, None)}
        for version, is_visitor, segments, most_days in (
            (1, True, {}, 1),
            (2, True, member, 400),
            (3, True, {}, 1),
            (4, False, {}, 400),
        ):
            store.write_snapshots(
                [snapshot(version, is_visitor=is_visitor, segments=segments, traits={"plan": "gold"})]
            )
            assert (most_days - 1) * DAY_MS < redis_client.pttl(KEY) <= most_days * DAY_MS, version

    def test_of_a_visitor_is_seven_days_unless_told_otherwise(self, redis_url, redis_client):
        store = SegmentStore(RedisTarget(redis_url), ttl_ms=400 * DAY_MS)
        store.write_snapshots([snapshot(is_visitor=True, traits={"plan": "gold"})])
        assert 6 * DAY_MS < redis_client.pttl(KEY) <= 7 * DAY_MS

    def test_that_is_over_hides_nothing_that_comes_later(self, redis_url, redis_client):
        store = SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, idle_ttl_ms=1)
        store.write_snapshots([snapshot(1, is_visitor=True, traits={"plan": "gold"})])
        until(lambda: not redis_client.exists(KEY), "the end of the key")
        back = snapshot(2, is_visitor=True, traits={"plan": "gold"}, segments={"new": Membership(0, None)})
        assert store.write_snapshots([back]).accepted == 1
        fields = redis_client.hgetall(KEY)
        assert (fields["traits"], list(json.loads(fields["segments"]))) == ('{"plan":"gold"}', ["new"])
        assert redis_client.pttl(KEY) > HOUR_MS

    def test_may_be_long(self, redis_url, redis_client):
        SegmentStore(RedisTarget(redis_url), ttl_ms=2**53 - 1).write_snapshots([snapshot()])
        assert redis_client.pttl(KEY) > 2**52


class TestDeletedProfile:
    def test_leaves_its_version_for_an_hour(self, store, redis_client):
        store.write_snapshots([snapshot(1, traits={"plan": "gold"})])
        assert store.write_snapshots([deleted(2)]) == WriteResult(accepted=1, stale=0)
        assert redis_client.hgetall(KEY) == {"version": "2"}
        assert 0 < redis_client.pttl(KEY) <= HOUR_MS

    def test_is_not_brought_back_by_a_stale_snapshot(self, store, redis_client):
        store.write_snapshots([deleted(2)])
        assert store.write_snapshots([snapshot(1)]).stale == 1
        assert store.write_snapshots([snapshot(2)]).repeated == 1
        assert redis_client.hgetall(KEY) == {"version": "2"}

    def test_comes_back_with_a_newer_one(self, store, redis_client):
        store.write_snapshots([deleted(2)])
        assert store.write_snapshots([snapshot(3)]).accepted == 1
        assert len(redis_client.hgetall(KEY)) == 9
        assert redis_client.pttl(KEY) > HOUR_MS


class TestSnapshotThatSaysNothing:
    def test_creates_no_key(self, store, redis_client):
        for version in (1, 1, 2):
            assert store.write_snapshots([empty(version)]) == WriteResult(0, 0, 0, skipped=1)
        assert store.write_snapshots([snapshot(3, deleted=True, was_served=False)]).skipped == 1
        assert redis_client.keys() == []

    @pytest.mark.parametrize("was_served", [False, True])
    def test_removes_a_key_and_leaves_its_version_for_an_hour(self, store, redis_client, was_served):
        store.write_snapshots([snapshot(1, traits={"plan": "gold"})])
        assert store.write_snapshots([empty(2, was_served=was_served)]) == WriteResult(accepted=1, stale=0)
        assert redis_client.hgetall(KEY) == {"version": "2"}
        assert 0 < redis_client.pttl(KEY) <= HOUR_MS
        for old, result in (
            (snapshot(1, traits={"plan": "gold"}), WriteResult(0, stale=1)),
            (empty(1, was_served=was_served), WriteResult(0, stale=1)),
            (empty(2, was_served=was_served), WriteResult(0, 0, repeated=1)),
        ):
            assert store.write_snapshots([old]) == result
            assert redis_client.hgetall(KEY) == {"version": "2"}
        assert store.write_snapshots([snapshot(3, traits={"plan": "gold"})]).accepted == 1
        assert redis_client.hget(KEY, "traits") == '{"plan":"gold"}'
        assert redis_client.pttl(KEY) > HOUR_MS

    def test_is_stale_beside_a_newer_one(self, store, redis_client):
        store.write_snapshots([snapshot(5, traits={"plan": "gold"})])
        before = redis_client.hgetall(KEY)
        assert store.write_snapshots([empty(4)]) == WriteResult(0, stale=1)
        assert store.write_snapshots([empty(5)]) == WriteResult(0, 0, repeated=1)
        assert redis_client.hgetall(KEY) == before
        assert redis_client.pttl(KEY) > HOUR_MS

    def test_is_not_overtaken_by_an_earlier_one_that_said_something(self, store, redis_client):
        """A write can be delayed: the version stands in its way though Redis had no key."""
        assert store.write_snapshots([empty(2, was_served=True)]).accepted == 1
        assert store.write_snapshots([snapshot(1, segments={"new": Membership(0, None)})]).stale == 1
        assert redis_client.hgetall(KEY) == {"version": "2"}


versions = st.integers(0, 5) | st.integers(2**53 - 3, 2**53 - 1)
snapshots = st.builds(
    lambda version, profile_id, is_deleted: snapshot(
        version, profile_id, deleted=is_deleted, traits={"version": version}
    ),
    versions,
    st.sampled_from(["alice", "bob"]),
    st.booleans(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.lists(snapshots, max_size=6), max_size=6))
def test_any_order_and_any_repeats_end_with_the_newest(store, redis_client, batches):
    redis_client.flushall()
    newest = {}
    for batch in batches:
        result = store.write_snapshots(batch)
        assert sum(result) == len({one.profile_id for one in batch})
        for one in batch:
            known = newest.get(one.profile_id)
            # of equal versions the first stays, except of the last one, which has no successor
            if known is None or one.version > known.version or one.version == known.version == LAST_VERSION:
                newest[one.profile_id] = one
    assert {key.removeprefix("segments:profile:") for key in redis_client.keys()} == newest.keys()
    for profile_id, one in newest.items():
        fields = redis_client.hgetall(f"segments:profile:{profile_id}")
        assert fields.pop("version") == str(one.version)
        assert fields.get("traits") == (None if one.deleted else f'{{"version":{one.version}}}')


steps = st.lists(st.sampled_from(["nothing", "score", "member", "forgotten"]), max_size=6)


def story_of(contents):
    """The snapshots of one visitor, in order of their versions, as the profile makes them."""
    made, was_served = [], False
    for version, content in enumerate(contents, 1):
        fields = {"nothing": {"is_empty": True}, "forgotten": {"deleted": True}}.get(content)
        if fields is None:
            members = {"new": Membership(version, None)} if content == "member" else {}
            fields = {"segments": members, "scores": {"s": (1.0, version)}}
        made.append(snapshot(version, is_visitor=True, was_served=was_served, **fields))
        was_served |= content in ("score", "member")
    return made


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps, st.data())
def test_any_order_and_any_repeats_of_a_visitor_end_with_its_newest_snapshot(
    store, redis_client, contents, data
):
    redis_client.flushall()
    story = story_of(contents)
    arrivals = data.draw(st.permutations(story + story[::2]))
    for one in arrivals:
        store.write_snapshots([one])
    fields = redis_client.hgetall(KEY)
    if not {"score", "member"} & set(contents):
        assert fields == {}, "nothing was ever said"
    elif contents[-1] in ("nothing", "forgotten"):
        assert fields == {"version": str(len(story))}
        assert redis_client.pttl(KEY) <= HOUR_MS
    else:
        assert fields["version"] == str(len(story))
        assert list(json.loads(fields["segments"])) == (["new"] if contents[-1] == "member" else [])
        assert redis_client.pttl(KEY) > HOUR_MS


class TestChanges:
    def test_are_entries_of_the_stream(self, store, redis_client):
        assert store.append_changes([change(1), change(2, "bob", expires_at_ms=NOON_MS + DAY_MS)]) == 2
        entries = redis_client.xrange("segments:changes")
        assert [fields for _, fields in entries] == [
            {
                "change_id": "change-1",
                "profile_id": "alice",
                "segment": "loyal",
                "change": "entered",
                "event_time": "2026-01-31T12:00:00.001Z",
                "expires_at": "",
                "profile_version": "1",
            },
            {
                "change_id": "change-2",
                "profile_id": "bob",
                "segment": "loyal",
                "change": "entered",
                "event_time": "2026-01-31T12:00:00.002Z",
                "expires_at": "2026-02-01T12:00:00.000Z",
                "profile_version": "2",
            },
        ]

    def test_stand_outside_the_guard(self, store, redis_client):
        for _ in range(2):
            store.append_changes([change(1)])
        assert redis_client.xlen("segments:changes") == 2

    def test_the_oldest_make_room(self, redis_url, redis_client):
        short = SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, changes_max_length=500)
        for start in range(0, 5_000, 100):
            short.append_changes(change(number) for number in range(start, start + 100))
        assert 500 <= redis_client.xlen("segments:changes") < 1_000
        newest = redis_client.xrevrange("segments:changes", count=1)[0][1]
        assert newest["change_id"] == "change-4999"

    def test_a_length_must_be_positive(self, redis_url):
        with pytest.raises(ValueError, match="changes_max_length must be positive"):
            SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, changes_max_length=0)

    def test_are_appended_all_or_none(self, own_server):
        with client_of(own_server) as client:
            client.config_set("maxmemory", 1)
            store = store_of(own_server, sleep=lambda seconds: None)
            with pytest.raises(SegmentStoreError, match="OOM"):
                store.append_changes([change(1), change(2)])
            assert client.keys() == []


class TestScriptCache:
    def test_may_be_emptied_between_writes(self, store, redis_client):
        for version in (1, 2, 3):
            redis_client.script_flush()
            batch = [snapshot(version, str(number)) for number in range(10)]
            assert store.write_snapshots(batch).accepted == 10
            store.append_changes([change(version)])
        assert redis_client.xlen("segments:changes") == 3
