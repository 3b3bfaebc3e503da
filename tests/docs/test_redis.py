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
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile, open_profile
from segmentation.timestamps import format_timestamp
from stores.clock import MAX_CLOCK_ERROR_MS, ClockError, require_not_ahead, require_not_behind
from stores.redis.access import RedisAccess, RedisTarget
from stores.redis.client import FAULTS
from stores.redis.scripts import ScriptRunner
from stores.segments.writer import (
    DEFAULT_CHANGES_MAX_LENGTH,
    DEFAULT_IDLE_TTL_MS,
    DELETED_TTL_MS,
    SegmentStore,
    WriteResult,
)
from tests.segmentation.folding import event_of, rules_of
from tests.stores.redis.test_auth import LEAST
from tests.stores.samples import DAY_MS, HOUR_MS, NOON_MS, change, empty, snapshot
from transforms.clock_checks import PAUSE_SECONDS

TEXT = Path("docs/redis.md").read_text()
ERRORS = re.findall(
    r"^\| `([^`]+)` \| (.+?) \| (yes|no|with the secret|over TCP) \| (.+?) \|$", TEXT, re.MULTILINE
)
COUNTING = rules_of({"version": 1, "measures": {"count": {"event": "A", "within": "30d", "count": {}}}})
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


class Writer:
    """A job or a run: its state of one profile, and its writes."""

    def __init__(self, store: SegmentStore, created_ms: int) -> None:
        self.store = store
        self.profile = Profile("alice", COUNTING, DEFAULT_PROFILE_TTL_MS, None, created_ms)
        self.events = 0

    def write(self, now_ms: int) -> WriteResult:
        """Counts one more event, and writes the profile."""
        self.events += 1
        reopened = open_profile("alice", COUNTING, DEFAULT_PROFILE_TTL_MS, self.profile.encode(), now_ms)
        self.profile = reopened if self.events > 1 else self.profile
        message = {"type": "track", "event": "A", "userId": "alice", "messageId": f"m{self.events}"}
        event = event_of(message | {"timestamp": format_timestamp(NOON_MS + self.events)})
        snapshot = self.profile.apply(event).snapshot
        assert snapshot is not None
        return self.store.write_snapshots([snapshot])


WRITTEN, TAKEN_OVER = WriteResult(1, 0), WriteResult(0, 0, taken_over=1)


@pytest.fixture
def running(store: SegmentStore, redis_client: redis.Redis) -> Writer:
    """A running job that has written a profile, whose Redis then was emptied."""
    job = Writer(store, NOON_MS)
    assert [job.write(NOON_MS), job.write(NOON_MS + 1000)] == [WRITTEN, WRITTEN]
    redis_client.flushall()
    return job


def test_an_emptied_redis_fills_again_as_profiles_change(running: Writer, redis_client: redis.Redis) -> None:
    assert running.write(NOON_MS + DAY_MS) == WRITTEN
    assert redis_client.hget("segments:profile:alice", "measures") == '{"count":3}'


def test_a_new_job_after_the_running_one_stays_the_writer(running: Writer, store: SegmentStore) -> None:
    new = Writer(store, NOON_MS + HOUR_MS)
    assert {new.write(NOON_MS + HOUR_MS + number) for number in range(5)} == {WRITTEN}


def test_a_run_beside_the_running_job_takes_its_profiles_over_until_they_are_deleted(
    running: Writer, store: SegmentStore, redis_client: redis.Redis
) -> None:
    run_ms = NOON_MS + HOUR_MS
    assert Writer(store, run_ms).write(run_ms) == WRITTEN
    assert [running.write(run_ms + after_ms) for after_ms in (1, DAY_MS)] == [TAKEN_OVER, TAKEN_OVER]
    assert redis_client.hget("segments:profile:alice", "measures") == '{"count":1}'
    (command,) = re.findall(r"^ +redis-cli -u URL (--scan --pattern '(.+?)') \| .* del$", TEXT, re.MULTILINE)
    redis_client.delete(*redis_client.scan_iter(command[1]))
    assert running.write(run_ms + DAY_MS + 1) == WRITTEN
    assert redis_client.hget("segments:profile:alice", "measures") == '{"count":5}'


def test_the_younger_of_two_writers_needs_nothing(running: Writer, store: SegmentStore) -> None:
    new = Writer(store, NOON_MS + HOUR_MS)
    for number in range(5):
        assert new.write(NOON_MS + HOUR_MS + 10 * number) == WRITTEN
        assert running.write(NOON_MS + HOUR_MS + 10 * number + 1) == TAKEN_OVER


def test_the_messages_about_clocks() -> None:
    hour_ms = 61 * 60_000
    with pytest.raises(ClockError) as behind:
        require_not_behind(NOON_MS, NOON_MS + hour_ms)
    with pytest.raises(ClockError) as ahead:
        require_not_ahead(hour_ms, None, NOON_MS)
    documented = re.findall(r"^\| (this machine's clock .+?) \|", TEXT, re.MULTILINE)
    assert len(documented) == 2
    for text, error in zip(documented, (behind, ahead), strict=True):
        assert str(error.value).startswith(text)
    assert MAX_CLOCK_ERROR_MS == 5 * 60_000
    assert PAUSE_SECONDS == 600


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
