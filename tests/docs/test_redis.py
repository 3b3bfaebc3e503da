"""docs/redis.md is true: what it says of errors, keys, rights and of reading."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import redis

from benchmarks.results import load
from pipeline.options import SegmentationOptions
from segmentation.durations import parse_duration
from segmentation.memberships import Membership
from stores.redis.access import RedisAccess, RedisTarget
from stores.redis.client import FAULTS
from stores.redis.scripts import ScriptRunner
from stores.segments.writer import (
    DEFAULT_CHANGES_MAX_LENGTH,
    DEFAULT_IDLE_TTL_MS,
    DELETED_TTL_MS,
    SegmentStore,
)
from tests.stores.redis.test_auth import LEAST
from tests.stores.samples import DAY_MS, NOON_MS, change, empty, snapshot

TEXT = Path("docs/redis.md").read_text()
ERRORS = re.findall(
    r"^\| `([^`]+)` \| (.+?) \| (yes|no|with the secret|over TCP) \| (.+?) \|$", TEXT, re.MULTILINE
)
SECRET = "projects/shop/secrets/redis/versions/latest"


def test_the_table_has_every_known_error_with_the_words_of_its_message() -> None:
    assert {code: check for code, check, *_ in ERRORS} == {
        code: fault.check for code, fault in FAULTS.items()
    }
    assert len(ERRORS) == len(FAULTS)


@pytest.mark.parametrize("code, waited", [(code, waited) for code, _, waited, _ in ERRORS])
def test_what_is_waited_for(code: str, waited: str) -> None:
    plain = RedisAccess(RedisTarget("unix:///run/redis.sock"))
    assert plain.recover(FAULTS[code]) is (waited == "yes")
    secret = RedisAccess(RedisTarget("unix:///run/redis.sock", SECRET, SECRET))
    assert secret.recover(FAULTS[code]) is (waited in ("yes", "with the secret"))
    over_tcp = RedisAccess(RedisTarget("redis://localhost"))
    assert over_tcp.recover(FAULTS[code]) is (waited in ("yes", "over TCP"))


def test_the_rights_are_those_that_are_tested() -> None:
    (line,) = re.findall(r"^ACL SETUSER writer on .*$", TEXT, re.MULTILINE)
    assert line.split()[4:] == [">PASSWORD", "~segments:*", *LEAST]


@pytest.fixture
def store(redis_url: str) -> SegmentStore:
    return SegmentStore(RedisTarget(redis_url), ttl_ms=DAY_MS)


def test_the_keys_are_what_the_job_writes(store: SegmentStore, redis_client: redis.Redis) -> None:
    store.write_snapshots([snapshot(1)])
    store.append_changes([change(1)])
    rows = dict(re.findall(r"^\| `(segments:[^`]+)` \| (?:hash|stream) \| (.+?) \|$", TEXT, re.MULTILINE))
    assert rows.keys() == {"segments:profile:<profile_id>", "segments:changes"}
    fields: Any = redis_client.hgetall("segments:profile:alice")
    assert set(words_of(rows["segments:profile:<profile_id>"])) == set(fields)
    entries: Any = redis_client.xrange("segments:changes")
    assert list(entries[0][1]) == [
        word for word in words_of(rows["segments:changes"]) if word not in ("entered", "exited")
    ]


def words_of(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_the_example_reads_what_the_job_writes(store: SegmentStore, redis_client: redis.Redis) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    example: dict[str, Any] = {}
    exec(code, example)  # the documentation's own
    segments_of = example["segments_of"]
    held = {
        "forever": Membership(NOON_MS, None),
        "ends": Membership(NOON_MS, NOON_MS + 1),
        "ended": Membership(NOON_MS - 1, NOON_MS),
    }
    store.write_snapshots([snapshot(1, segments=held)])
    assert segments_of(redis_client, "alice", "2026-01-31T12:00:00.000Z") == ["forever", "ends"]
    assert segments_of(redis_client, "alice", "2026-01-31T12:00:00.001Z") == ["forever"]
    assert segments_of(redis_client, "alice") == ["forever"]
    assert segments_of(redis_client, "nobody") == []
    store.write_snapshots([empty(2)])
    assert redis_client.hgetall("segments:profile:alice") == {"version": "2"}
    assert segments_of(redis_client, "alice") == []


def test_the_memory_of_visitors_is_what_was_measured() -> None:
    rows = re.findall(r"^\| (with .+?) \| (\d+) MB \| (?:(\d+) days)?", TEXT, re.MULTILINE)
    measured = {one.name: round(one.value) for one in load()["redis_memory"].figures}
    profile_days, idle_days = (
        parse_duration(text) // DAY_MS
        for text in (SegmentationOptions([]).profile_ttl, SegmentationOptions([]).idle_ttl)
    )
    assert [(int(megabytes), days) for _, megabytes, days in rows] == [
        (measured["visitors with one page view, as written"], ""),
        (measured["visitors with one page view, if each has a key"], str(profile_days)),
        (measured["visitors with a score and no segment, for --idle_ttl"], str(idle_days)),
    ]


def test_the_numbers() -> None:
    assert SegmentationOptions([]).redis_key_prefix == "segments:"
    assert DEFAULT_CHANGES_MAX_LENGTH == 1_000_000
    assert DELETED_TTL_MS == 3_600_000
    assert parse_duration(SegmentationOptions([]).idle_ttl) == DEFAULT_IDLE_TTL_MS == 7 * DAY_MS
    assert inspect.signature(ScriptRunner).parameters["attempts"].default == 8
