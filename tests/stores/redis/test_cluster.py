"""Redis clusters: the client detects one at the first MOVED and follows its changes; one script per key."""

import os
import signal
from urllib.parse import urlsplit

import pytest
from redis.cluster import RedisCluster

from stores.clock import MAX_CLOCK_ERROR_MS, system_clock_ms
from stores.redis.access import RedisTarget, access_to
from stores.redis.server_clock import clock_ahead_ms
from stores.segments.writer import SegmentStore, SegmentStoreError, WriteResult
from tests.stores.redis.certificates import Authority
from tests.stores.redis.cluster import await_whole, join, running_cluster, running_node
from tests.stores.redis.relay import Relay
from tests.stores.samples import DAY_MS, HOUR_MS, change, deleted, empty, no_sleep, snapshot
from tests.stores.secret_manager import CA_SECRET, PASSWORD_SECRET, FakeSecretManager
from tests.waiting import HANGS_AFTER_SECONDS, until

PROFILES = 100


def store_of(target, **options):
    return SegmentStore(target, **{"ttl_ms": DAY_MS, "sleep": lambda seconds: None} | options)


def batch_of(version, profiles=PROFILES):
    return [snapshot(version, f"user-{number}") for number in range(profiles)]


def versions_in(nodes):
    """Returns each profile's version, whichever node has it."""
    return {
        key.removeprefix("segments:profile:"): int(node.admin.hget(key, "version"))
        for node in nodes
        for key in node.admin.keys("segments:profile:*")
    }


def all_at(version, profiles=PROFILES):
    return {one.profile_id: version for one in batch_of(version, profiles)}


def changes_in(nodes):
    """Returns the ids of the changes in the stream, whichever node has it."""
    return [
        fields["change_id"]
        for node in nodes
        for key in node.admin.keys("segments:changes")
        for _, fields in node.admin.xrange(key)
    ]


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster"), 2) as nodes:
        yield nodes


@pytest.fixture
def nodes(two_nodes):
    """Two nodes, empty, to which the process has no client yet."""
    for node in two_nodes:
        node.admin.flushall()
        node.admin.script_flush()
        node.admin.config_resetstat()
    return two_nodes


class TestTwoNodes:
    def test_each_gets_its_profiles(self, nodes):
        target = RedisTarget(nodes[0].url)
        pauses = []
        store = store_of(target, sleep=pauses.append)
        assert not isinstance(access_to(target).client(), RedisCluster)
        assert store.write_snapshots(batch_of(1)) == WriteResult(accepted=PROFILES, stale=0)
        assert abs(clock_ahead_ms(access_to(target), system_clock_ms)) < MAX_CLOCK_ERROR_MS
        assert isinstance(access_to(target).client(), RedisCluster)
        assert len(pauses) == 1, "only to find out that it is a cluster"
        assert versions_in(nodes) == all_at(1)
        assert all(node.admin.dbsize() > PROFILES / 4 for node in nodes)

    @pytest.mark.parametrize("first", [0, 1])
    def test_the_stream_is_on_one_of_them(self, nodes, first):
        store = store_of(RedisTarget(nodes[first].url))
        assert store.append_changes([change(number) for number in range(50)]) == 50
        assert changes_in(nodes) == [f"change-{number}" for number in range(50)]

    def test_scripts_name_their_only_key_and_go_as_text(self, nodes):
        """A node lets a script reach only keys of its own, and pipelines of hashes are for single servers."""
        store = store_of(RedisTarget(nodes[0].url))
        store.write_snapshots(batch_of(1))
        for node in nodes:
            node.admin.config_resetstat()
            node.admin.script_flush()
        assert store.write_snapshots(batch_of(2)).accepted == PROFILES
        assert sum(node.command_calls("eval") for node in nodes) == PROFILES
        assert sum(node.command_calls("evalsha") for node in nodes) == 0
        assert store.write_snapshots([deleted(3, "user-1"), snapshot(1, "user-2")]) == WriteResult(1, 1)

    def test_what_says_nothing_has_no_key_on_either(self, nodes):
        store = store_of(RedisTarget(nodes[0].url), ttl_ms=400 * DAY_MS, idle_ttl_ms=DAY_MS)
        visitors = [f"user-{number}" for number in range(PROFILES)]
        store.write_snapshots([snapshot(1, name, is_visitor=True) for name in visitors[:50]])
        left = [node.admin.pttl(key) for node in nodes for key in node.admin.keys()]
        assert len(left) == 50
        assert all(HOUR_MS < ttl_ms <= DAY_MS for ttl_ms in left)
        result = store.write_snapshots([empty(2, name) for name in visitors])
        assert result == WriteResult(accepted=50, stale=0, skipped=50)
        assert versions_in(nodes) == dict.fromkeys(visitors[:50], 2)
        assert all(node.admin.pttl(key) <= HOUR_MS for node in nodes for key in node.admin.keys())
        assert store.write_snapshots([snapshot(1, name) for name in visitors[:50]]).stale == 50

    def test_threads_and_steps_share_what_was_found_out(self, nodes):
        target = RedisTarget(nodes[0].url)
        store_of(target).write_snapshots(batch_of(1))
        other = store_of(RedisTarget(nodes[0].url), sleep=no_sleep)
        assert other.write_snapshots(batch_of(2)).accepted == PROFILES

    def test_a_slot_on_its_way_to_the_other_node_is_waited_for(self, nodes):
        store = store_of(RedisTarget(nodes[0].url))
        store.write_snapshots(batch_of(1))
        slot = nodes[0].admin.cluster("KEYSLOT", "segments:profile:new")
        source, target = nodes if slot < 8192 else reversed(nodes)
        source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target.id)
        target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                give(slot, target)

        def give(slot, owner):
            for node in nodes:
                node.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", owner.id)

        try:
            with pytest.raises(SegmentStoreError, match="ASK: the cluster was moving keys"):
                store.write_snapshots([snapshot(1, "new")])
            store = store_of(RedisTarget(nodes[0].url), sleep=sleep)
            assert store.write_snapshots([snapshot(1, "new"), snapshot(2, "user-1")]).accepted == 2
            assert len(pauses) == 3
            assert target.admin.hget("segments:profile:new", "version") == "1"
        finally:
            target.admin.flushall()
            give(slot, source)

    def test_a_silent_node_costs_one_wait_per_attempt_and_the_other_goes_on(self, nodes):
        target = RedisTarget(nodes[0].url)
        store_of(target).write_snapshots(batch_of(1))
        impatient = store_of(RedisTarget(f"{nodes[0].url}?socket_timeout=0.2"), sleep=(pauses := []).append)
        hung = nodes[1]
        os.kill(hung.server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(SegmentStoreError, match="Redis took .* of 100 writes, then: out of reach"):
                impatient.write_snapshots(batch_of(2))
        finally:
            os.kill(hung.server.pid, signal.SIGCONT)
        assert len(pauses) == 7
        await_whole(nodes)
        written = [version for version in versions_in(nodes[:1]).values() if version == 2]
        assert len(written) == nodes[0].admin.dbsize()
        assert store_of(target).write_snapshots(batch_of(2)).stale == 0
        assert versions_in(nodes) == all_at(2)
        evals = hung.command_calls("eval")
        assert evals <= 10 * hung.admin.dbsize(), "each attempt sent each call once"

    def test_the_password_of_a_secret_opens_every_node(self, nodes):
        manager = FakeSecretManager()
        manager.held[PASSWORD_SECRET] = b"sesame"
        target = RedisTarget(nodes[0].url, PASSWORD_SECRET, None, manager.make_client)
        try:
            set_passwords(nodes, "sesame")
            assert store_of(target).write_snapshots(batch_of(1)).accepted == PROFILES
            set_passwords(nodes, "simsim")
            with pytest.raises(
                SegmentStoreError, match="WRONGPASS: check the user and the password's secret"
            ):
                store_of(target).write_snapshots(batch_of(2))
            manager.held[PASSWORD_SECRET] = b"simsim"
            result = store_of(target).write_snapshots(batch_of(2))
            assert result.accepted + result.repeated == PROFILES
        finally:
            set_passwords(nodes, "")


def set_passwords(nodes, password):
    """Changes the nodes' password, and breaks all connections of others."""
    for node in nodes:
        node.admin.config_set("requirepass", password)
        node.admin.client_kill_filter(_type="normal", skipme=True)


class TestOneNode:
    def test_is_served_like_a_single_server_until_it_grows(self, tmp_path):
        with running_cluster(tmp_path / "cluster", 1) as nodes, running_node(tmp_path / "new") as new:
            store = store_of(RedisTarget(nodes[0].url), sleep=no_sleep)
            assert store.write_snapshots(batch_of(1)).accepted == PROFILES
            assert store.append_changes([change(1)]) == 1
            both = [nodes[0], new]
            join(both)
            moved = nodes[0].admin.cluster("KEYSLOT", "segments:profile:user-7")
            nodes[0].admin.execute_command("CLUSTER SETSLOT", moved, "MIGRATING", new.id)
            new.admin.execute_command("CLUSTER SETSLOT", moved, "IMPORTING", nodes[0].id)
            limit_ms = HANGS_AFTER_SECONDS * 1000
            nodes[0].admin.migrate("127.0.0.1", new.port, "segments:profile:user-7", 0, limit_ms)
            for node in both:
                node.admin.execute_command("CLUSTER SETSLOT", moved, "NODE", new.id)
            pauses = []
            store = store_of(RedisTarget(nodes[0].url), sleep=pauses.append)
            assert store.write_snapshots(batch_of(2)).accepted == PROFILES
            assert len(pauses) == 1
            assert versions_in(both) == all_at(2)
            assert new.admin.hget("segments:profile:user-7", "version") == "2"
            assert store.append_changes([change(2)]) == 1
            assert changes_in(both) == ["change-1", "change-2"]

    def test_a_socket_cannot_lead_to_other_nodes(self, nodes):
        store = store_of(RedisTarget(nodes[0].server.url), sleep=no_sleep)
        with pytest.raises(SegmentStoreError, match="a node of a cluster: give its TCP address, database 0"):
            store.write_snapshots(batch_of(1))

    def test_another_database_is_not_there(self, nodes):
        with pytest.raises(SegmentStoreError, match="DATABASE: .* a cluster has only 0"):
            store_of(RedisTarget(f"{nodes[0].url}/1"), sleep=no_sleep).write_snapshots(batch_of(1))


class TestNodesThatFail:
    def test_a_replica_that_takes_over_is_followed(self, tmp_path):
        with running_cluster(tmp_path / "cluster", 1) as nodes, running_node(tmp_path / "replica") as replica:
            both = [nodes[0], replica]
            join(both)
            replica.admin.execute_command("CLUSTER REPLICATE", nodes[0].id)
            store = store_of(RedisTarget(nodes[0].url), sleep=no_sleep)
            store.write_snapshots(batch_of(1))
            until(lambda: replica.admin.dbsize() == PROFILES, "replica with all data")

            replica.admin.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            until(lambda: nodes[0].admin.role()[0] == "slave", "replica where the primary was")
            store = store_of(RedisTarget(nodes[0].url))
            assert store.write_snapshots(batch_of(2)).accepted == PROFILES
            assert versions_in([replica]) == all_at(2)

            nodes[0].server.stop()
            assert store.write_snapshots(batch_of(3)).accepted == PROFILES
            assert store.append_changes([change(1)]) == 1
            assert versions_in([replica]) == all_at(3)

    def test_one_that_comes_back_gets_what_it_missed(self, tmp_path):
        with running_cluster(tmp_path / "cluster", 2) as nodes:
            target = RedisTarget(nodes[0].url)
            store_of(target).write_snapshots(batch_of(1))
            os.kill(nodes[1].server.pid, signal.SIGKILL)
            os.waitid(os.P_PID, nodes[1].server.pid, os.WEXITED | os.WNOWAIT)
            pauses = []

            def sleep(seconds):
                pauses.append(seconds)
                if len(pauses) == 3:
                    nodes[1].server.start()
                    await_whole(nodes)

            store = store_of(target, sleep=sleep)
            assert store.write_snapshots(batch_of(2)).accepted == PROFILES
            assert store.append_changes([change(1)]) == 1
            assert len(pauses) == 3
            assert versions_in(nodes) == all_at(2)
            assert changes_in(nodes) == ["change-1"]

            for node in nodes:
                node.server.stop()
            for _ in range(2):  # a new step's set-up needs no cluster
                with pytest.raises(SegmentStoreError, match="Redis took 0 of 100 writes, then: out of reach"):
                    store_of(target).write_snapshots(batch_of(3))


def test_tls_with_certificates_of_a_secret_reaches_every_node(tmp_path):
    """Each node tells others the port of its relay, which speaks TLS."""
    authority, manager = Authority(), FakeSecretManager()
    manager.held[CA_SECRET] = authority.pem
    tls = authority.server_context(tmp_path / "tls", "127.0.0.1")
    with Relay("", tls) as first, Relay("", tls) as second:
        relays = [first, second]
        with running_cluster(tmp_path / "nodes", 2, [relay.port for relay in relays]) as nodes:
            for relay, node in zip(relays, nodes, strict=True):
                relay.upstream = urlsplit(node.server.url).path
            url = f"rediss://127.0.0.1:{first.port}"
            target = RedisTarget(url, None, CA_SECRET, manager.make_client)
            assert store_of(target).write_snapshots(batch_of(1)).accepted == PROFILES
            assert isinstance(access_to(target).client(), RedisCluster)
            assert versions_in(nodes) == all_at(1)
            for node in nodes:
                addresses = [client["addr"] for client in node.admin.client_list()]
                assert len(addresses) > 1
                assert all(address.startswith("/") for address in addresses), "through the relay only"
