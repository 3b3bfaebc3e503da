"""Passwords, users and their rights, from the URL or from a secret that is rotated."""

import traceback
from urllib.parse import urlsplit

import pytest
import redis
from google.api_core import exceptions

from local.embedded_redis import EmbeddedRedis
from stores.clock import MAX_CLOCK_ERROR_MS, system_clock_ms
from stores.redis.access import RedisTarget, access_to
from stores.redis.server_clock import clock_ahead_ms
from stores.segments.writer import SegmentStore, SegmentStoreError
from tests.stores.redis.relay import Relay
from tests.stores.samples import DAY_MS, KEY, change, no_sleep, snapshot
from tests.stores.secret_manager import PASSWORD_SECRET, FakeSecretManager
from transforms.clock_checks import RedisClockCheck

LEAST = [
    "+eval",
    "+evalsha",
    "+hget",
    "+hset",
    "+hlen",
    "+hkeys",
    "+hdel",
    "+del",
    "+xadd",
    "+pexpire",
    "+ping",
    "+time",
    "+client|setname",
    "+select",
    "+cluster",
]
"""What the docs ask for."""


@pytest.fixture
def server(tmp_path):
    with EmbeddedRedis(tmp_path / "redis", password="sesame") as server:
        yield server


@pytest.fixture
def admin(server):
    with redis.Redis.from_url(server.url, decode_responses=True) as admin:
        yield admin


@pytest.fixture
def manager():
    manager = FakeSecretManager()
    manager.held[PASSWORD_SECRET] = b"sesame"
    return manager


def path_of(server):
    return path_of_url(server.url)


def path_of_url(url):
    return urlsplit(url).path


def store_of(url, manager=None, sleep=no_sleep):
    target = (
        RedisTarget(url) if manager is None else RedisTarget(url, PASSWORD_SECRET, None, manager.make_client)
    )
    return SegmentStore(target, ttl_ms=DAY_MS, sleep=sleep)


def write_both(store, version):
    assert store.write_snapshots([snapshot(version), snapshot(version, "bob")]).accepted == 2
    assert store.append_changes([change(version), change(version, "bob")]) == 2


def refusal_of(store):
    with pytest.raises(SegmentStoreError) as caught:
        store.write_snapshots([snapshot(1)])
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(word in shown for word in ("sesame", "simsim", "redis.exceptions"))
    return str(caught.value)


class TestPassword:
    def test_of_the_url(self, server, admin):
        write_both(store_of(server.url), 1)
        assert admin.hget(KEY, "version") == "1"

    def test_of_a_secret(self, server, admin, manager):
        store = store_of(f"unix://{path_of(server)}", manager)
        assert manager.reads == [PASSWORD_SECRET], "read at set-up"
        write_both(store, 1)
        assert admin.hget(KEY, "version") == "1"
        assert manager.reads == [PASSWORD_SECRET]

    @pytest.mark.parametrize("user", ["", ":simsim@"])
    def test_a_missing_or_wrong_one_fails_at_once(self, server, user):
        refusal = refusal_of(store_of(f"unix://{user}{path_of(server)}"))
        assert "the password's secret" in refusal
        assert refusal.startswith(f"Redis took 0 of 1 writes, then: {'WRONGPASS' if user else 'NOAUTH'}: ")

    def test_a_wrong_secret_is_read_again_a_few_times(self, server, manager):
        manager.held[PASSWORD_SECRET] = b"simsim"
        pauses = []
        refusal = refusal_of(store_of(f"unix://{path_of(server)}", manager, pauses.append))
        assert refusal == (
            "Redis took 0 of 1 writes, then: WRONGPASS: check the user and the password's secret"
        )
        assert len(pauses) == 7
        assert len(manager.reads) == 8

    def test_one_for_a_server_that_has_none_is_refused(self, redis_url, manager):
        refusal = refusal_of(store_of(f"unix://{path_of_url(redis_url)}", manager, lambda seconds: None))
        assert "WRONGPASS: " in refusal

    def test_is_read_again_when_it_was_rotated(self, server, admin, manager):
        """The server's new password comes first, the secret's new version a little later."""
        with Relay(path_of(server)) as relay:
            pauses = []

            def sleep(seconds):
                pauses.append(seconds)
                if len(pauses) == 3:
                    manager.held[PASSWORD_SECRET] = b"simsim\n"

            store = store_of(f"redis://127.0.0.1:{relay.port}", manager, sleep)
            write_both(store, 1)
            admin.config_set("requirepass", "simsim")
            write_both(store, 2)
            assert pauses == [], "a connection that is open goes on"
            relay.hang_up()
            write_both(store, 3)
            assert len(pauses) == 3
            assert admin.hget(KEY, "version") == "3"
            assert admin.xlen("segments:changes") == 6

    def test_a_secret_that_cannot_be_read_again_fails_the_write(self, server, admin, manager):
        store = store_of(f"unix://{path_of(server)}", manager, lambda seconds: None)
        admin.config_set("requirepass", "simsim")
        manager.held[PASSWORD_SECRET] = exceptions.FailedPrecondition("destroyed")
        assert refusal_of(store).startswith(
            f"Redis took 0 of 1 writes, then: {PASSWORD_SECRET} cannot be read: FailedPrecondition: enable"
        )
        manager.held[PASSWORD_SECRET] = b"simsim"
        write_both(store, 1)


class TestUser:
    @pytest.fixture
    def url(self, server, admin):
        """The address of a user with the least rights, over TCP."""
        admin.acl_setuser("writer", enabled=True, passwords=["+simsim"], keys=["segments:*"])
        admin.execute_command("ACL", "SETUSER", "writer", *LEAST)
        with Relay(path_of(server)) as relay:
            yield f"redis://writer:simsim@127.0.0.1:{relay.port}/0"

    def test_the_least_rights_are_enough(self, url, admin):
        write_both(store_of(url), 1)
        assert len(admin.hgetall(KEY)) == 9
        assert store_of(url).write_snapshots([snapshot(2, deleted=True)]).accepted == 1
        assert admin.hgetall(KEY) == {"version": "2"}

    def test_without_the_right_to_the_time_writes_go_on(self, url, admin, caplog):
        admin.execute_command("ACL", "SETUSER", "writer", "-time")
        RedisClockCheck(RedisTarget(url)).check()
        (warning,) = caplog.messages
        assert warning.startswith("this machine's clock is not compared with Redis's: NOPERM")
        write_both(store_of(url), 1)

    def test_the_time_can_be_asked(self, url):
        assert abs(clock_ahead_ms(access_to(RedisTarget(url)), system_clock_ms)) < MAX_CLOCK_ERROR_MS

    def test_of_the_url_with_the_password_of_a_secret(self, url, admin, manager):
        manager.held[PASSWORD_SECRET] = b"simsim"
        write_both(store_of(url.replace(":simsim", ""), manager), 1)
        assert {client["user"] for client in admin.client_list()} == {"default", "writer"}

    def test_a_name_may_hold_any_character(self, server, admin):
        admin.acl_setuser("w@/:%", enabled=True, passwords=["+s@/:%"], keys=["*"], categories=["+@all"])
        write_both(store_of(f"unix://w%40%2F%3A%25:s%40%2F%3A%25@{path_of(server)}"), 1)

    @pytest.mark.parametrize("right", ["-eval", "-evalsha", "-hset", "-pexpire", "resetkeys"])
    def test_a_missing_right_is_named_as_such_at_once(self, url, admin, right):
        admin.execute_command("ACL", "SETUSER", "writer", right)
        store = store_of(url)
        with pytest.raises(
            SegmentStoreError, match="NOPERM: the Redis user must be allowed to run scripts"
        ) as caught:
            store.write_snapshots([snapshot(1), snapshot(1, "bob")])
        assert "alice" not in str(caught.value)

    def test_another_prefix_is_not_its_own(self, url):
        store = SegmentStore(RedisTarget(url), key_prefix="shop:", ttl_ms=DAY_MS, sleep=no_sleep)
        with pytest.raises(SegmentStoreError, match="NOPERM: "):
            store.append_changes([change(1)])

    def test_one_that_was_disabled_is_refused(self, url, admin):
        store = store_of(url, sleep=lambda seconds: None)  # the end of the old connection may be met first
        write_both(store, 1)
        admin.execute_command("ACL", "SETUSER", "writer", "off")
        admin.client_kill_filter(_type="normal", skipme=True)
        assert "WRONGPASS: " in refusal_of(store)
        admin.execute_command("ACL", "SETUSER", "writer", "on")
        write_both(store, 2)


def test_a_full_list_of_clients_is_waited_for(server, admin):
    admin.config_set("maxclients", 1)
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            admin.config_set("maxclients", 100)

    write_both(store_of(server.url, sleep=sleep), 1)
    assert len(pauses) == 3
    admin.config_set("maxclients", 1)
    store = store_of(f"{server.url}?socket_timeout=4", sleep=lambda seconds: None)
    assert "out of reach: " in refusal_of(store)


def test_a_database_that_is_not_there_is_named(server):
    store = store_of(f"{server.url}?db=99")
    assert "DATABASE: the Redis URL has the number of a database that does not exist" in refusal_of(store)


def test_a_bad_address_is_not_blamed_on_a_secret():
    with pytest.raises(ValueError, match="the Redis URL must be redis://"):
        access_to(RedisTarget("http://localhost")).client()
