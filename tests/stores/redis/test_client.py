"""The Redis client: URLs, options, encoding of commands, and errors."""

import os
import ssl
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from local.embedded_redis import EmbeddedRedis
from stores.redis.access import RedisTarget
from stores.redis.client import FAULTS, fault, make_client, password_in
from stores.segments.writer import SegmentStore, SegmentStoreError
from tests.stores.redis.certificates import Authority
from tests.stores.samples import DAY_MS, KEY, no_sleep, snapshot

SEEN_HERE = {"DATABASE", "CERTIFICATE", "HOSTNAME", "TLS", "out of reach"}
"""Codes that no server gives."""


class TestMakeClient:
    def test_the_server_sees_the_projects_name(self, redis_url):
        assert make_client(redis_url).client_getname() == "live-segments"

    @pytest.mark.parametrize("password", [None, "wrong"])
    def test_a_wrong_password_fails_at_once(self, tmp_path, password):
        with EmbeddedRedis(tmp_path, password="right") as server:
            user = "" if password is None else f":{password}@"
            target = RedisTarget(f"unix://{user}{tmp_path}/redis.sock")
            with pytest.raises(SegmentStoreError, match="the password's secret"):
                SegmentStore(target, ttl_ms=1, sleep=no_sleep).write_snapshots([snapshot()])
            right = make_client(f"unix://{tmp_path}/redis.sock", password="right")
            assert right.ping()
            assert make_client(server.url).ping()

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://:open/sesame@localhost:6379",
            "redis://host:port",
        ],
    )
    def test_a_bad_address_is_refused_without_being_repeated(self, url):
        with pytest.raises(ValueError, match="the Redis URL must be redis://") as caught:
            make_client(url)
        assert "sesame" not in "".join(traceback.format_exception(caught.value))

    def test_certificates_need_tls(self):
        pem = Authority().pem.decode()
        with pytest.raises(ValueError, match="only rediss:// takes CA certificates"):
            make_client("redis://localhost:6379", ca_pem=pem)
        options = make_client("rediss://localhost:6379", ca_pem=pem).get_connection_kwargs()
        assert options["ssl_ca_data"] == pem

    @pytest.mark.parametrize("pem", ["", "certificate", "Zertifikat für alle"])
    def test_certificates_must_be_some(self, pem):
        with pytest.raises(ValueError, match="not in PEM format"):
            make_client("rediss://localhost:6379", ca_pem=pem)

    def test_is_slow_to_wait_and_checks_idle_connections(self):
        options = make_client("redis://localhost:6379/3").get_connection_kwargs()
        assert options["socket_timeout"] == options["socket_connect_timeout"] == 5
        assert options["health_check_interval"] > 0
        assert options["db"] == 3

    def test_threads_may_share_it(self, redis_url, redis_client):
        store = SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)
        with ThreadPoolExecutor(8) as threads:
            results = list(
                threads.map(lambda version: store.write_snapshots([snapshot(version)]), range(1, 201))
            )
        assert sum(result.accepted + result.stale for result in results) == 200
        assert redis_client.hget(KEY, "version") == "200"

    def test_a_forked_process_may_go_on_with_it(self, redis_url, redis_client):
        store = SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)
        store.write_snapshots([snapshot(1)])
        child = os.fork()
        if child == 0:
            accepted = 0
            try:
                accepted = store.write_snapshots([snapshot(2)]).accepted
            finally:
                os._exit(accepted)  # or it would go on as a second pytest
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 1, "one snapshot was accepted"
        assert redis_client.hget(KEY, "version") == "2"
        assert store.write_snapshots([snapshot(3)]).accepted == 1


class TestCommands:
    @pytest.mark.parametrize(
        "value, expected",
        [
            ("ä", "ä"),
            (b"b", "b"),
            (7, "7"),
            (0.5, "0.5"),
            (1e300, "1e+300"),
            ("", ""),
            ("a b\r\n", "a b\r\n"),
        ],
    )
    def test_values_arrive_as_redis_py_writes_them(self, redis_url, redis_client, value, expected):
        make_client(redis_url).set("key", value)
        assert redis_client.get("key") == expected
        redis_client.set("other", value)
        assert redis_client.get("other") == expected

    def test_views_of_memory_are_bytes(self, redis_url, redis_client):
        make_client(redis_url).mset({"a": memoryview(b"one"), "b": bytearray(b"two")})
        assert redis_client.mget("a", "b") == ["one", "two"]

    @pytest.mark.parametrize("value", [True, None, {}])
    def test_other_values_are_refused(self, redis_url, value):
        with pytest.raises(redis.DataError):
            make_client(redis_url).set("key", value)

    def test_commands_of_two_words_are_split(self, redis_url):
        assert make_client(redis_url).config_get("save") == {"save": ""}


class TestPasswordIn:
    @pytest.mark.parametrize(
        "url",
        [
            "redis://:p@h",
            "rediss://u:p@h:1/0",
            "unix://u:p@/run/redis.sock",
            "redis://h?password=p",
            "unix:///run/redis.sock?db=1&password=p",
            "rediss://h?ssl_certfile=a&ssl_keyfile=b&ssl_password=p",
        ],
    )
    def test_finds_one(self, url):
        assert password_in(url)

    @pytest.mark.parametrize(
        "url", ["redis://h", "rediss://u@h:1/0", "unix:///run/redis.sock", "redis://u:@h"]
    )
    def test_finds_none(self, url):
        assert not password_in(url)

    def test_refuses_what_is_no_redis_url_without_repeating_it(self):
        with pytest.raises(ValueError, match="the Redis URL must be redis://") as caught:
            password_in("http://:sesame@localhost")
        assert "sesame" not in str(caught.value)


class TestFault:
    def test_the_cause_is_looked_for(self):
        error = redis.ConnectionError("Error 1 connecting")
        error.__context__ = ssl.SSLCertVerificationError("self-signed certificate")
        assert fault(error) is FAULTS["CERTIFICATE"]

    @pytest.mark.parametrize("number, code", [(62, "HOSTNAME"), (64, "HOSTNAME"), (63, "CERTIFICATE")])
    def test_a_certificate_of_another_host_is_told_from_an_invalid_one(self, number, code):
        error = ssl.SSLCertVerificationError("certificate verify failed")
        error.verify_code = number
        assert fault(error) is FAULTS[code]

    def test_no_text_names_a_flag(self):
        assert [found.code for found in FAULTS.values() if "--" in found.check] == []

    @pytest.mark.parametrize("code", sorted(FAULTS.keys() - SEEN_HERE))
    def test_an_error_inside_a_script_is_classified(self, code):
        """Redis 6 gives a script's error as text."""
        error = redis.ResponseError(
            f"Error running script (call to f_1): @user_script:9: -{code} no", status_code="ERR"
        )
        assert fault(error) is FAULTS[code]

    def test_of_an_unknown_error_only_the_type_is_reported(self):
        found = fault(redis.ResponseError("unknown command, with args beginning with: alice"))
        assert str(found) == "ResponseError: see the server's log"
        assert not found.transient

    def test_a_host_that_is_named_like_a_code_is_no_code(self):
        assert fault(redis.ConnectionError("Error 111 connecting to LOADING:6379")) is FAULTS["out of reach"]
