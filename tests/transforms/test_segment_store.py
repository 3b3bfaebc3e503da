"""The segment store against a real server: what it writes, what it refuses, what it survives."""

import contextlib
import json
import math
import multiprocessing
import select
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.embedded_redis import EmbeddedRedis
from segmentation.memberships import Change, Membership, Snapshot
from transforms.redis_client import connect
from transforms.segment_store import SegmentStore, SegmentStoreError, WriteResult

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOON_MS = 1_769_860_800_000  # 2026-01-31T12:00:00.000Z
KEY = "segments:profile:alice"


def snapshot(version=1, profile_id="alice", **fields):
    return Snapshot(profile_id, version, f"rules-{version}", NOON_MS, NOON_MS + 1, **fields)


def deleted(version, profile_id="alice"):
    return snapshot(version, profile_id, deleted=True)


def change(number, profile_id="alice", expires_at_ms=None):
    return Change(
        f"change-{number}", profile_id, "loyal", "entered", NOON_MS + number, NOON_MS, expires_at_ms, number,
        "segment-version", "event", "message", False,
    )  # fmt: skip


def no_sleep(seconds):
    raise AssertionError("nothing should have to be tried again")


@pytest.fixture
def store(redis_url):
    return SegmentStore(connect(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may stop, fill and start again."""
    with EmbeddedRedis(tmp_path) as server:
        yield server


def store_of(server, **options):
    return SegmentStore(connect(server.url), ttl_ms=DAY_MS, **options)


def client_of(server):
    return redis.Redis.from_url(server.url, decode_responses=True)


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

    def test_versions_are_told_apart_up_to_the_limit(self, store, redis_client):
        for version in (2**53 - 3, 2**53 - 2, 2**53 - 1):
            assert store.write_snapshots([snapshot(version)]).accepted == 1
            assert redis_client.hget(KEY, "version") == str(version)
        assert store.write_snapshots([snapshot(2**53 - 2)]).stale == 1
        with pytest.raises(ValueError, match="version must be in"):
            store.write_snapshots([snapshot(2**53)])

    def test_one_profile_does_not_hide_another(self, store, redis_client):
        ids = ["a", "A", "a b", "a:b", "a\n", "ä", "{a}", "\ud800", "?", "\ufffd", ""]
        assert store.write_snapshots(snapshot(1, profile_id) for profile_id in ids).accepted == len(ids)
        assert redis_client.dbsize() == len(ids)

    def test_prefixes_do_not_mix(self, redis_url, redis_client):
        for prefix in ("", "ä:", "segments:"):
            SegmentStore(connect(redis_url), key_prefix=prefix, ttl_ms=DAY_MS).write_snapshots([snapshot()])
        assert sorted(redis_client.keys()) == ["profile:alice", "segments:profile:alice", "ä:profile:alice"]

    def test_more_than_fits_one_reply_buffer(self, store, redis_client):
        batch = [snapshot(1, str(number), traits={"text": "x" * 10_000}) for number in range(2_000)]
        assert store.write_snapshots(batch).accepted == 2_000
        assert redis_client.dbsize() == 2_000


class TestValues:
    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
    def test_what_is_no_number_is_null(self, store, redis_client, value):
        store.write_snapshots(
            [snapshot(scores={"s": (value, NOON_MS)}, measures={"m": [value]}, traits={"t": {"a": value}})]
        )
        fields = {name: strict_json(text) for name, text in redis_client.hgetall(KEY).items() if "{" in text}
        assert fields["scores"]["s"]["value"] is None
        assert fields["measures"] == {"m": [None]}
        assert fields["traits"] == {"t": {"a": None}}

    def test_integers_keep_their_digits_as_long_as_a_number_can_be_so_great(self, store, redis_client):
        store.write_snapshots([snapshot(measures={"long": 2**70, "endless": 10**5000, "least": -(2**63)})])
        assert strict_json(redis_client.hget(KEY, "measures")) == {
            "long": 2**70,
            "endless": None,
            "least": -(2**63),
        }

    def test_half_a_character_is_replaced(self, store, redis_client):
        store.write_snapshots([snapshot(traits={"a\ud800": ["\udc00b"], "whole": "\U0001f600"})])
        expected = {"a\ufffd": ["\ufffdb"], "whole": "\U0001f600"}
        assert strict_json(redis_client.hget(KEY, "traits")) == expected

    def test_instants_outside_the_years_are_kept_within(self, store, redis_client):
        store.write_snapshots([snapshot(segments={"s": Membership(-(10**15), 10**15)})])
        assert strict_json(redis_client.hget(KEY, "segments"))["s"] == {
            "entered_at": "0001-01-01T00:00:00.000Z",
            "expires_at": "9999-12-31T23:59:59.999Z",
        }

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.dictionaries(
            st.text(st.characters()),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
            max_size=5,
        )
    )
    def test_every_value_becomes_valid_json(self, store, redis_client, values):
        redis_client.delete(KEY)
        store.write_snapshots([snapshot(traits=values, measures=values)])
        traits = strict_json(redis_client.hget(KEY, "traits"))
        assert len(traits) <= len(values)
        assert strict_json(redis_client.hget(KEY, "measures")) == traits


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


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
        with pytest.raises(ValueError, match="ttl_ms must be in"):
            SegmentStore(connect(redis_url), ttl_ms=ttl_ms)

    def test_may_be_long(self, redis_url, redis_client):
        SegmentStore(connect(redis_url), ttl_ms=2**53 - 1).write_snapshots([snapshot()])
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


versions = st.integers(0, 5) | st.integers(2**53 - 3, 2**53 - 1)
snapshots = st.builds(
    lambda version, profile_id, is_deleted: snapshot(
        version, profile_id, deleted=is_deleted, traits={"version": version}
    ),
    versions,
    st.sampled_from(["alice", "bob"]),
    st.booleans(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(snapshots, max_size=6), max_size=6))
def test_any_order_and_any_repeats_end_with_the_newest(store, redis_client, batches):
    redis_client.flushall()
    newest = {}
    for batch in batches:
        result = store.write_snapshots(batch)
        assert sum(result) == len({one.profile_id for one in batch})
        for one in batch:
            known = newest.get(one.profile_id)
            if known is None or one.version > known.version:  # of equal versions the first stays
                newest[one.profile_id] = one
    assert {key.removeprefix("segments:profile:") for key in redis_client.keys()} == newest.keys()
    for profile_id, one in newest.items():
        fields = redis_client.hgetall(f"segments:profile:{profile_id}")
        assert fields.pop("version") == str(one.version)
        assert fields.get("traits") == (None if one.deleted else f'{{"version":{one.version}}}')


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
        short = SegmentStore(connect(redis_url), ttl_ms=DAY_MS, changes_max_length=500)
        for start in range(0, 5_000, 100):
            short.append_changes(change(number) for number in range(start, start + 100))
        assert 500 <= redis_client.xlen("segments:changes") < 1_000
        newest = redis_client.xrevrange("segments:changes", count=1)[0][1]
        assert newest["change_id"] == "change-4999"

    def test_a_length_must_be_positive(self, redis_url):
        with pytest.raises(ValueError, match="changes_max_length must be positive"):
            SegmentStore(connect(redis_url), ttl_ms=DAY_MS, changes_max_length=0)

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


@contextlib.contextmanager
def losing_replies(server, path, losses):
    """Stands before a server, and breaks the connection instead of giving the first replies to scripts."""

    def forward(client, upstream):
        nonlocal losses
        lost = False
        while True:
            for ready in select.select([client, upstream], [], [])[0]:
                data = ready.recv(65536)
                if not data or (ready is upstream and lost):
                    return
                if ready is client and b"EVAL" in data and losses:
                    losses -= 1
                    lost = True
                (upstream if ready is client else client).sendall(data)

    def serve():
        with contextlib.suppress(OSError):  # the listener was shut
            while True:
                client, _ = listener.accept()
                with client, socket.socket(socket.AF_UNIX) as upstream:
                    upstream.connect(urlsplit(server.url).path)
                    forward(client, upstream)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"unix://{path}"
        yield url
        connect(url).close()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class TestServerInTrouble:
    def test_a_restart_between_writes_is_not_felt(self, own_server):
        store = store_of(own_server, sleep=no_sleep)
        store.write_snapshots([snapshot(1)])
        own_server.stop()
        own_server.start()
        assert store.write_snapshots([snapshot(2), snapshot(1, "bob")]) == WriteResult(2, 0)
        with client_of(own_server) as client:
            assert client.hget(KEY, "version") == "2"

    def test_a_lost_reply_is_a_repeated_write(self, own_server, tmp_path):
        pauses = []
        with losing_replies(own_server, tmp_path / "one.sock", losses=2) as url:
            store = SegmentStore(connect(url), ttl_ms=DAY_MS, sleep=pauses.append)
            assert store.write_snapshots([snapshot(1), snapshot(1, "bob")]) == WriteResult(0, 0, repeated=2)
        assert len(pauses) == 2
        with losing_replies(own_server, tmp_path / "two.sock", losses=1) as url:
            store = SegmentStore(connect(url), ttl_ms=DAY_MS, sleep=pauses.append)
            assert store.append_changes([change(1)]) == 1
        assert len(pauses) == 3
        with client_of(own_server) as client:
            assert client.hget(KEY, "version") == "1"
            entries = [fields for _, fields in client.xrange("segments:changes")]
            assert [fields["change_id"] for fields in entries] == ["change-1", "change-1"], "at least once"

    def test_writes_wait_until_it_is_back_and_say_for_how_long(self, own_server):
        pauses, throttled = [], []

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                own_server.start()

        store = store_of(own_server, sleep=sleep, on_throttled=throttled.append)
        store.write_snapshots([snapshot(1)])
        own_server.stop()
        assert store.append_changes([change(1)]) == 1
        assert len(pauses) == 3
        assert throttled == pauses
        assert all(0.1 <= pause <= 5.5 for pause in pauses)

    @pytest.mark.parametrize("attempts", [1, 4])
    def test_one_that_stays_away_fails_the_write(self, tmp_path, attempts):
        pauses = []
        with EmbeddedRedis(tmp_path, password="secret") as server:
            store = store_of(server, attempts=attempts, sleep=pauses.append)
            server.stop()
            for write in (
                lambda: store.write_snapshots([snapshot(1), snapshot(1, "bob")]),
                lambda: store.append_changes([change(1)]),
            ):
                with pytest.raises(SegmentStoreError, match="check that --redis_url leads to") as caught:
                    write()
                shown = "".join(traceback.format_exception(caught.value))
                assert "secret" not in shown
                assert "alice" not in str(caught.value)
                assert "redis.exceptions" not in shown
        assert len(pauses) == 2 * (attempts - 1)

    def test_a_full_one_takes_no_half_profile_and_drops_nothing(self, own_server):
        pauses = []
        store = store_of(own_server, sleep=pauses.append)
        with client_of(own_server) as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] + 2**20)
            taken, refused = [], None
            while refused is None:
                ids = [f"{len(taken)}-{number}" for number in range(50)]
                batch = [snapshot(1, profile_id, traits={"t": "x" * 1_000}) for profile_id in ids]
                try:
                    assert store.write_snapshots(batch).accepted == 50
                    taken += batch
                except SegmentStoreError as error:
                    refused = batch
                    assert "OOM: the server is full: raise its maxmemory" in str(error)
            assert len(pauses) == 7
            assert all(len(client.hgetall(key)) in (0, 9) for key in client.keys())
            first = taken[0].profile_id
            with pytest.raises(SegmentStoreError):
                store.write_snapshots([snapshot(2, first)])
            assert client.hget(f"segments:profile:{first}", "version") == "1"
            client.config_set("maxmemory", 0)
            result = store.write_snapshots(refused)
            assert result.accepted + result.repeated == 50
            assert {key.removeprefix("segments:profile:") for key in client.keys()} == {
                one.profile_id for one in taken + refused
            }

    def test_a_full_one_still_forgets(self, own_server):
        store = store_of(own_server, sleep=no_sleep)
        store.write_snapshots([snapshot(1)])
        with client_of(own_server) as client:
            client.config_set("maxmemory", 1)
            assert store.write_snapshots([deleted(2)]).accepted == 1
            assert client.hgetall(KEY) == {"version": "2"}

    def test_one_that_makes_room_goes_on_with_the_rest_only(self, own_server):
        with client_of(own_server) as client:
            client.config_set("maxmemory", 1)
            store = store_of(own_server, sleep=lambda seconds: client.config_set("maxmemory", 0))
            assert store.write_snapshots([deleted(1), snapshot(1, "bob")]) == WriteResult(accepted=2, stale=0)

    def test_a_replica_is_named_as_such(self, own_server):
        pauses = []
        store = store_of(own_server, sleep=pauses.append)
        with client_of(own_server) as client, EmbeddedRedis() as other:
            client.config_set("replica-serve-stale-data", "yes")
            client.replicaof("127.0.0.1", "1")
            with pytest.raises(SegmentStoreError, match="leads to a replica: give the primary"):
                store.write_snapshots([snapshot()])
            assert len(pauses) == 7
            assert store_of(other).write_snapshots([snapshot()]).accepted == 1

    def test_a_foreign_key_fails_at_once_and_leaves_the_others_written(self, store, redis_client):
        redis_client.set(KEY, "something else")
        with pytest.raises(SegmentStoreError, match="2 of 3 writes, then: WRONGTYPE: .* --redis_key_prefix"):
            store.write_snapshots([snapshot(1, "bob"), snapshot(), snapshot(1, "carol")])
        assert redis_client.get(KEY) == "something else"
        assert redis_client.dbsize() == 3


class TestConnect:
    def test_is_one_client_per_address(self, redis_url):
        assert connect(redis_url) is connect(redis_url)
        assert connect(redis_url).client_getname() == "live-segments"

    @pytest.mark.parametrize("password", [None, "wrong"])
    def test_a_wrong_password_fails_at_once(self, tmp_path, password):
        with EmbeddedRedis(tmp_path, password="right") as server:
            client = connect(f"unix://{tmp_path}/redis.sock", password=password)
            with pytest.raises(SegmentStoreError, match="--redis_auth_secret"):
                SegmentStore(client, ttl_ms=1, sleep=no_sleep).write_snapshots([snapshot()])
            right = connect(f"unix://{tmp_path}/redis.sock", password="right")
            assert right.ping()
            assert connect(server.url).ping()

    @pytest.mark.parametrize(
        "url",
        ["", "localhost:6379", "http://localhost", "redis://:pass/word@localhost:6379", "redis://host:port"],
    )
    def test_a_bad_address_is_refused_without_being_repeated(self, url):
        with pytest.raises(ValueError, match="--redis_url must be redis://") as caught:
            connect(url)
        assert "word" not in "".join(traceback.format_exception(caught.value))

    def test_certificates_need_tls(self):
        with pytest.raises(ValueError, match="rediss:// only"):
            connect("redis://localhost:6379", ca_pem="certificate")
        options = connect("rediss://localhost:6379", ca_pem="certificate").get_connection_kwargs()
        assert options["ssl_ca_data"] == "certificate"

    def test_is_slow_to_wait_and_checks_idle_connections(self):
        options = connect("redis://localhost:6379/3").get_connection_kwargs()
        assert options["socket_timeout"] == options["socket_connect_timeout"] == 5
        assert options["health_check_interval"] > 0
        assert options["db"] == 3

    def test_threads_may_share_it(self, redis_url, redis_client):
        store = SegmentStore(connect(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)
        with ThreadPoolExecutor(8) as threads:
            results = list(
                threads.map(lambda version: store.write_snapshots([snapshot(version)]), range(1, 201))
            )
        assert sum(result.accepted + result.stale for result in results) == 200
        assert redis_client.hget(KEY, "version") == "200"

    def test_a_forked_process_may_go_on_with_it(self, redis_url, redis_client):
        store = SegmentStore(connect(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)
        store.write_snapshots([snapshot(1)])
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=store.write_snapshots, args=([snapshot(2)],))
        child.start()
        child.join()
        assert child.exitcode == 0
        assert redis_client.hget(KEY, "version") == "2"
        assert store.write_snapshots([snapshot(3)]).accepted == 1
