"""Server errors: writes are retried until the error ends, or fail with its code; nothing is dropped."""

import select
import traceback
from urllib.parse import urlsplit

import pytest

from local.embedded_redis import EmbeddedRedis
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore, SegmentStoreError
from tests.stores.redis.relay import Relay
from tests.stores.redis.troubles import TROUBLES, admin_of, reloading
from tests.stores.samples import DAY_MS, change, client_of, no_sleep, snapshot
from tests.waiting import until

PROFILES = 50
PATIENT = 1_000
"""More attempts than a busy server needs, each of which may wait for a fifth of a second only."""


def snapshots(version=1, profiles=PROFILES):
    return [snapshot(version, f"user-{number}") for number in range(profiles)]


def changes(profiles=PROFILES):
    return [change(number) for number in range(profiles)]


def assert_all_written(server, version=1, profiles=PROFILES):
    with client_of(server) as client:
        stored = {key: client.hget(key, "version") for key in client.keys("segments:profile:*")}
        ids = [fields["change_id"] for _, fields in client.xrange("segments:changes")]
    assert stored == {f"segments:profile:user-{number}": str(version) for number in range(profiles)}
    assert set(ids) == {f"change-{number}" for number in range(profiles)}, "at least once"


@pytest.mark.parametrize("name", TROUBLES)
class TestTrouble:
    def test_that_passes_is_waited_for(self, own_server, in_trouble, name):
        trouble = in_trouble(name, pauses=3)
        store = SegmentStore(RedisTarget(trouble.url), ttl_ms=DAY_MS, attempts=PATIENT, sleep=trouble.sleep)
        result = store.write_snapshots(snapshots())
        assert result.accepted + result.repeated == PROFILES
        assert store.append_changes(changes()) == PROFILES
        assert trouble.pauses >= 3
        assert_all_written(own_server)

    def test_that_stays_fails_the_write_with_its_name_and_the_next_one_is_whole(
        self, own_server, in_trouble, name
    ):
        trouble = in_trouble(name, pauses=0)
        target = RedisTarget(trouble.url)
        store = SegmentStore(target, ttl_ms=DAY_MS, attempts=3, sleep=trouble.sleep)
        for write in (
            lambda: store.write_snapshots(snapshots()),
            lambda: store.append_changes(changes()),
        ):
            with pytest.raises(SegmentStoreError, match=f"writes, then: {trouble.code}: ") as caught:
                write()
            assert "user-" not in "".join(traceback.format_exception(caught.value))
        assert trouble.pauses == 4
        trouble.pass_by()
        store = SegmentStore(target, ttl_ms=DAY_MS, attempts=PATIENT, sleep=lambda seconds: None)
        store.write_snapshots(snapshots())
        store.append_changes(changes())
        assert_all_written(own_server)


def test_a_failover_behind_the_address_is_followed(own_server, tmp_path):
    """The demoted primary refuses on the connection that is open; a new one leads to its successor."""
    primary = own_server
    with (
        EmbeddedRedis(tmp_path / "successor") as successor,
        Relay(socket_of(primary)) as replication,
        Relay(socket_of(primary)) as address,
        admin_of(primary) as of_primary,
        admin_of(successor) as of_successor,
    ):
        target = RedisTarget(f"redis://127.0.0.1:{address.port}")
        store = SegmentStore(target, ttl_ms=DAY_MS, sleep=no_sleep)
        store.write_snapshots(snapshots(1))
        store.append_changes(changes(20))
        of_primary.config_set("repl-diskless-sync-delay", 0)
        of_successor.replicaof("127.0.0.1", replication.port)
        until(lambda: of_successor.info("replication")["master_link_status"] == "up", "replica with all data")

        of_successor.replicaof("NO", "ONE")
        of_primary.config_set("replica-serve-stale-data", "yes")
        of_primary.replicaof("127.0.0.1", "1")
        pauses = []

        def sleep(seconds):
            """The address is handed over a little later."""
            pauses.append(seconds)
            if len(pauses) == 3:
                address.upstream = socket_of(successor)

        store = SegmentStore(target, ttl_ms=DAY_MS, sleep=sleep)
        assert store.write_snapshots(snapshots(2)).accepted == PROFILES
        assert store.append_changes(changes()) == PROFILES
        assert len(pauses) == 3
        assert_all_written(successor, version=2)
        with client_of(primary) as client:
            assert client.hget("segments:profile:user-0", "version") == "1"


def socket_of(server):
    return urlsplit(server.url).path


def test_a_server_that_has_read_its_data_is_written_to(own_server):
    with reloading(own_server, keys=200, delay_us=25_000) as await_end:
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            await_end()

        store = SegmentStore(RedisTarget(own_server.url), ttl_ms=DAY_MS, sleep=sleep)
        assert store.write_snapshots(snapshots()).accepted == PROFILES
        assert store.append_changes(changes()) == PROFILES
        assert len(pauses) == 1
    assert_all_written(own_server)


def forgetting_relay(server, admin):
    """Empties the server's script cache in the middle of each pipeline, up to `times` times."""

    def pass_on(data, upstream, client):
        begin, separator, rest = data.partition(b"EVALSHA")
        if not separator or b"EVAL\r\n" not in begin or relay.times == 0:
            upstream.sendall(data)
            return
        relay.times -= 1
        head = begin[: begin.rindex(b"*")]  # the first command, which loads the script
        upstream.sendall(head)
        select.select([upstream], [], [])  # it was answered
        admin.script_flush()
        upstream.sendall(data[len(head) :])

    relay = Relay(socket_of(server), pass_on=pass_on)
    relay.times = 0
    return relay


class TestScriptCache:
    def test_is_filled_again_when_it_was_emptied_in_the_middle_of_a_pipeline(self, own_server):
        pauses = []
        with admin_of(own_server) as admin, forgetting_relay(own_server, admin) as relay:
            relay.times = 3
            target = RedisTarget(f"redis://127.0.0.1:{relay.port}")
            store = SegmentStore(target, ttl_ms=DAY_MS, sleep=pauses.append)
            result = store.write_snapshots(snapshots())
            assert result.accepted == PROFILES
            assert store.append_changes(changes()) == PROFILES
        assert len(pauses) == 3
        assert_all_written(own_server)

    def test_that_is_always_emptied_is_named(self, own_server):
        with admin_of(own_server) as admin, forgetting_relay(own_server, admin) as relay:
            relay.times = 1_000
            target = RedisTarget(f"redis://127.0.0.1:{relay.port}")
            store = SegmentStore(target, ttl_ms=DAY_MS, attempts=3, sleep=lambda seconds: None)
            with pytest.raises(SegmentStoreError, match="NOSCRIPT: another program keeps emptying"):
                store.write_snapshots(snapshots())
            relay.times = 0
            assert store.write_snapshots(snapshots()).repeated == 3
            store.append_changes(changes())
        assert_all_written(own_server)


def test_no_pause_is_made_where_nothing_is_wrong(own_server):
    store = SegmentStore(RedisTarget(own_server.url), ttl_ms=DAY_MS, sleep=no_sleep)
    store.write_snapshots(snapshots())
    store.append_changes(changes())
    assert_all_written(own_server)
