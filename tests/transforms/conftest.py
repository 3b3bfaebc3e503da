"""Stores of the session's server, and servers of a test's own."""

import contextlib

import pytest

from pipeline.embedded_redis import EmbeddedRedis
from tests.transforms.samples import DAY_MS, no_sleep
from tests.transforms.troubles import Trouble
from transforms.redis_access import RedisTarget
from transforms.segment_store import SegmentStore


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
