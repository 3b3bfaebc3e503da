"""What tests of several packages share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from local.embedded_redis import EmbeddedRedis
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore
from tests.bigquery_stub import BigQueryStub
from tests.stores.redis.troubles import Trouble
from tests.stores.samples import DAY_MS, no_sleep


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_client(redis_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A client of the session's server, which is empty when a test begins."""
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis, redis_client: redis.Redis) -> str:
    """The address of the session's server, which is empty when a test begins."""
    return redis_server.url


@pytest.fixture
def bigquery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryStub]:
    """A stand-in for BigQuery, without tables, that this process's clients are led to."""
    with BigQueryStub() as stub:
        stub.serve(monkeypatch, tmp_path, "project-x")
        yield stub


@pytest.fixture
def store(redis_url):
    return SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS, sleep=no_sleep)


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may stop, fill and start again."""
    with EmbeddedRedis(tmp_path) as server:
        yield server


@pytest.fixture
def in_trouble(own_server):
    """Gets a test's own server into trouble, by the trouble's name."""
    with contextlib.ExitStack() as stack:

        def begin(name, pauses):
            return stack.enter_context(Trouble(name, own_server, pauses))

        yield begin
