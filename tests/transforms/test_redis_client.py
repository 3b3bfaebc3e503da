"""How Redis is reached."""

import multiprocessing
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.embedded_redis import EmbeddedRedis
from tests.transforms.samples import DAY_MS, KEY, no_sleep, snapshot
from transforms.redis_access import RedisTarget
from transforms.redis_client import connect
from transforms.segment_store import SegmentStore, SegmentStoreError


class TestConnect:
    def test_is_one_client_per_address(self, redis_url):
        assert connect(redis_url) is connect(redis_url)
        assert connect(redis_url).client_getname() == "live-segments"

    @pytest.mark.parametrize("password", [None, "wrong"])
    def test_a_wrong_password_fails_at_once(self, tmp_path, password):
        with EmbeddedRedis(tmp_path, password="right") as server:
            user = "" if password is None else f":{password}@"
            target = RedisTarget(f"unix://{user}{tmp_path}/redis.sock")
            with pytest.raises(SegmentStoreError, match="--redis_auth_secret"):
                SegmentStore(target, ttl_ms=1, sleep=no_sleep).write_snapshots([snapshot()])
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
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=store.write_snapshots, args=([snapshot(2)],))
        child.start()
        child.join()
        assert child.exitcode == 0
        assert redis_client.hget(KEY, "version") == "2"
        assert store.write_snapshots([snapshot(3)]).accepted == 1
