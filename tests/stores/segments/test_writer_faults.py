"""The segment store if the server is stopped, full or a replica, or if replies are lost."""

import contextlib
import traceback
from urllib.parse import urlsplit

import pytest

from local.embedded_redis import EmbeddedRedis
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore, SegmentStoreError, WriteResult
from tests.stores.redis.relay import Relay
from tests.stores.samples import (
    DAY_MS,
    KEY,
    change,
    client_of,
    deleted,
    empty,
    no_sleep,
    snapshot,
    store_of,
)


@contextlib.contextmanager
def losing_replies(server, losses):
    """Stands before a server, and breaks the connection instead of giving the first replies to scripts."""

    def pass_on(data, upstream, client):
        nonlocal losses
        upstream.sendall(data)
        if b"EVAL" in data and losses:
            losses -= 1
            upstream.recv(1)  # it was carried out
            raise ConnectionError

    with Relay(urlsplit(server.url).path, pass_on=pass_on) as relay:
        yield f"redis://127.0.0.1:{relay.port}"


class TestServerInTrouble:
    def test_a_restart_between_writes_is_not_felt(self, own_server):
        store = store_of(own_server, sleep=no_sleep)
        store.write_snapshots([snapshot(1)])
        own_server.stop()
        own_server.start()
        assert store.write_snapshots([snapshot(2), snapshot(1, "bob")]) == WriteResult(2, 0)
        with client_of(own_server) as client:
            assert client.hget(KEY, "version") == "2"

    def test_a_lost_reply_is_a_repeated_write(self, own_server):
        pauses = []
        with losing_replies(own_server, losses=2) as url:
            store = SegmentStore(RedisTarget(url), ttl_ms=DAY_MS, sleep=pauses.append)
            assert store.write_snapshots([snapshot(1), snapshot(1, "bob")]) == WriteResult(0, 0, repeated=2)
        assert len(pauses) == 2
        with losing_replies(own_server, losses=1) as url:
            store = SegmentStore(RedisTarget(url), ttl_ms=DAY_MS, sleep=pauses.append)
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
                with pytest.raises(SegmentStoreError, match="check that the Redis URL leads to") as caught:
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
                    refused, reason = batch, str(error)
            assert "OOM: the server is full: raise its maxmemory" in reason
            assert len(pauses) == 7
            assert all(len(client.hgetall(key)) in (0, 9) for key in client.keys())
            first = taken[0].profile_id
            client.config_set("maxmemory", 1)  # buffers freed since may have made a little room
            with pytest.raises(SegmentStoreError, match="OOM"):
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

    def test_a_full_one_takes_what_says_nothing(self, own_server):
        store = store_of(own_server, sleep=no_sleep)
        store.write_snapshots([snapshot(1)])
        with client_of(own_server) as client:
            client.config_set("maxmemory", 1)
            batch = [empty(2), *(empty(1, f"visitor-{number}") for number in range(100))]
            assert store.write_snapshots(batch) == WriteResult(accepted=1, stale=0, skipped=100)
            assert client.keys() == [KEY]
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
        with pytest.raises(
            SegmentStoreError, match="2 of 3 writes, then: WRONGTYPE: .* change the key prefix"
        ):
            store.write_snapshots([snapshot(1, "bob"), snapshot(), snapshot(1, "carol")])
        assert redis_client.get(KEY) == "something else"
        assert redis_client.dbsize() == 3
