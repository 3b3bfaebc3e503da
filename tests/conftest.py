"""What tests of several packages share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pipeline.embedded_redis import EmbeddedRedis
from tests.bigquery_stub import BigQueryStub


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
