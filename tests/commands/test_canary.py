"""The canary: how it waits, with a simulated clock, and how it checks its flags."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from commands.canary import (
    DEFINITION,
    EVENT,
    PROFILE_PREFIX,
    CanaryError,
    CanaryResult,
    ProfileReader,
    StoredProfile,
    expected_exit_ms,
    main,
    new_event,
    watch,
)
from local.embedded_redis import EmbeddedRedis
from pipeline.flags.forms import ConfigError
from segmentation.events import parse_event
from segmentation.rules.load import load_rules
from segmentation.timestamps import format_timestamp
from stores.redis.access import RedisTarget
from stores.secrets import secrets_of
from tests.events import START_MS
from tests.stores.secret_manager import PASSWORD_SECRET, FakeSecretManager

RULES = f"version: 1\nsegments:\n{DEFINITION}"
STAY_MS = 10_000
TIMEOUT_MS = 60_000
POLL_MS = 50


class World:
    """A clock that advances only in pauses, and a Redis that changes at given times."""

    def __init__(self, *stages: tuple[int, StoredProfile | None]) -> None:
        self.now_ms = START_MS
        self._stages = [(START_MS + after_ms, held) for after_ms, held in stages]

    def clock(self) -> int:
        return self.now_ms

    def pause(self) -> None:
        self.now_ms += POLL_MS

    def read_profile(self) -> StoredProfile | None:
        held = None
        for at_ms, then in self._stages:
            held = then if at_ms <= self.now_ms else held
        return held


def outcome(*stages: tuple[int, StoredProfile | None]) -> CanaryResult:
    """Returns the canary's result if Redis has each of these states after so many milliseconds."""
    world = World(*stages)
    before = world.read_profile()
    return watch(
        START_MS, START_MS + STAY_MS, before, world.read_profile, TIMEOUT_MS, world.clock, world.pause
    )


def member(until_ms: int = STAY_MS) -> StoredProfile:
    return StoredProfile(8, START_MS, START_MS + until_ms)


def gone(at_ms: int = STAY_MS) -> StoredProfile:
    """The profile without the membership, but with a score or a measure."""
    return StoredProfile(9, START_MS + at_ms, None)


SILENT = StoredProfile(9, None, None)
"""The profile without the membership, if it has nothing else."""
BEFORE = StoredProfile(7, START_MS - 86_400_000, None)
"""What an earlier check with the same profile has left."""
SILENT_BEFORE = StoredProfile(7, None, None)
"""What an earlier check with the same profile has left within the hour."""
befores = pytest.mark.parametrize("before", [None, BEFORE, SILENT_BEFORE])


@befores
@pytest.mark.parametrize("after", [gone(), SILENT])
def test_measures_the_way_in_and_the_way_out(before: StoredProfile | None, after: StoredProfile) -> None:
    assert outcome((0, before), (700, member()), (10_250, after)) == CanaryResult(700, 250)


def test_a_figure_is_too_long_by_at_most_one_poll() -> None:
    assert outcome((710, member()), (10_260, gone())) == CanaryResult(750, 300)


@befores
@pytest.mark.parametrize("after", [gone(), SILENT])
def test_an_event_that_takes_longer_than_the_stay_is_measured_too(
    before: StoredProfile | None, after: StoredProfile
) -> None:
    assert outcome((0, before), (30_000, after)) == CanaryResult(30_000, 20_000)


def test_the_end_is_the_one_that_redis_holds() -> None:
    assert outcome((700, member(until_ms=12_000)), (12_100, gone(at_ms=12_000))) == CanaryResult(700, 100)


@pytest.mark.parametrize("there", [[], [(0, BEFORE)], [(0, SILENT_BEFORE)], [(60_050, member())]])
def test_what_does_not_come_in_is_a_failure(there: list[tuple[int, StoredProfile | None]]) -> None:
    found = outcome(*there)
    assert (found.event_to_redis_ms, found.exit_lag_ms) == (None, None)
    assert found.failure == "the event was not in Redis within 60 s"


@pytest.mark.parametrize("after", [[], [(5_000, None)], [(5_000, BEFORE)], [(70_050, gone())]])
def test_what_does_not_go_out_is_a_failure(after: list[tuple[int, StoredProfile | None]]) -> None:
    found = outcome((700, member()), *after)
    assert (found.event_to_redis_ms, found.exit_lag_ms) == (700, None)
    assert found.failure is not None
    assert found.failure.startswith("60 s after its end")


def test_the_last_instant_of_waiting_counts() -> None:
    assert outcome((60_000, member()), (70_000, gone())) == CanaryResult(60_000, 60_000)


@pytest.mark.parametrize("without", [StoredProfile(8, START_MS, None), StoredProfile(8, None, None)])
def test_a_job_without_the_segment_fails_at_once(without: StoredProfile) -> None:
    found = outcome((700, without))
    assert (found.event_to_redis_ms, found.exit_lag_ms) == (700, None)
    assert found.failure is not None
    assert "the job runs other definitions" in found.failure


@pytest.mark.parametrize(
    "found, severity, word",
    [
        (CanaryResult(700, 250), "INFO", "passed"),
        (CanaryResult(700, failure="it did not come"), "ERROR", "failed"),
    ],
)
def test_prints_one_line_of_json_without_the_profile(found: CanaryResult, severity: str, word: str) -> None:
    line = found.line()
    assert "\n" not in line
    written = json.loads(line)
    assert (written["severity"], written["canary"]) == (severity, word)
    assert (written["event_to_redis_ms"], written["exit_lag_ms"]) == found[:2]
    assert written.keys() == {"severity", "message", "canary", "event_to_redis_ms", "exit_lag_ms"}
    assert written["message"] == f"canary: {found.failure or 'passed'}"


# What it sends


def test_its_event_enters_its_segment_and_time_alone_ends_it() -> None:
    event = parse_event(new_event(f"{PROFILE_PREFIX}7", START_MS))
    assert (event.profile_id, event.name, event.timestamp_ms) == ("canary:7", EVENT, START_MS)
    assert expected_exit_ms(load_rules(RULES), event) == START_MS + STAY_MS


@pytest.mark.parametrize(
    "segments",
    [
        "  vip: {when: {event: Order Completed, within: 1d, count: {at_least: 1}}}\n",
        DEFINITION.replace("canary:", "other:"),
        DEFINITION.replace(EVENT, "Order Completed"),
        DEFINITION.replace("10s", "61s"),
        DEFINITION.replace(", within: 10s", ""),
    ],
)
def test_definitions_without_its_segment_are_refused_with_what_to_add(segments: str) -> None:
    event = parse_event(new_event("canary:7", START_MS))
    with pytest.raises(ConfigError) as refused:
        expected_exit_ms(load_rules(f"version: 1\nsegments:\n{segments}"), event)
    assert str(refused.value).endswith(DEFINITION)


# What it reads


@pytest.fixture
def key(redis_client: redis.Redis) -> Callable[..., str]:
    """Writes a profile, and returns its key."""

    def write(**fields: str) -> str:
        for field, value in fields.items():
            redis_client.hset("segments:profile:canary:7", field, value)
        return "segments:profile:canary:7"

    return write


def test_reads_what_redis_holds(redis_url: str, key: Callable[..., str]) -> None:
    read_profile = ProfileReader(RedisTarget(redis_url), "segments:", "canary:7")
    assert read_profile() is None
    key(version="1")
    assert read_profile() == StoredProfile(1, None, None)
    at = format_timestamp(START_MS)
    key(version="2", updated_at=at, segments="{}")
    assert read_profile() == StoredProfile(2, START_MS, None)
    end = format_timestamp(START_MS + STAY_MS)
    other = {"entered_at": at, "expires_at": None}
    key(updated_at=at, segments=json.dumps({"canary": {"entered_at": at, "expires_at": end}, "vip": other}))
    assert read_profile() == StoredProfile(2, START_MS, START_MS + STAY_MS)
    key(segments=json.dumps({"canary": {"entered_at": at, "expires_at": None}}))
    assert read_profile() == StoredProfile(2, START_MS, None)


def test_a_redis_out_of_reach_may_come_back() -> None:
    assert ProfileReader(RedisTarget("redis://127.0.0.1:1/0"), "segments:", "canary:1")() is None


def test_a_permanent_error_of_redis_is_reported(redis_url: str, redis_client: redis.Redis) -> None:
    redis_client.set("segments:profile:canary:7", "a text")
    with pytest.raises(CanaryError, match=r"^Redis cannot be used: WRONGTYPE: .*; see --redis_key_prefix$"):
        ProfileReader(RedisTarget(redis_url), "segments:", "canary:7")()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis with a password, and with a synthetic profile in it."""
    with EmbeddedRedis(tmp_path / "redis", password="sesame") as server:
        with redis.Redis.from_url(server.url) as admin:
            fields = {"version": "1", "updated_at": format_timestamp(START_MS), "segments": "{}"}
            admin.hset("segments:profile:canary:1", mapping=fields)
        yield server


def test_a_changed_password_is_read_again_and_a_wrong_one_is_reported(locked: EmbeddedRedis) -> None:
    manager = FakeSecretManager()
    manager.held[PASSWORD_SECRET] = b"yesterday's"
    url = f"unix://{urlsplit(locked.url).path}"
    read_profile = ProfileReader(
        RedisTarget(url, PASSWORD_SECRET, make_client=manager.make_client), "segments:", "canary:1"
    )
    assert read_profile() is None
    manager.held[PASSWORD_SECRET] = b"sesame"
    assert read_profile() == StoredProfile(1, START_MS, None)
    manager.held[PASSWORD_SECRET] = b"tomorrow's"
    read_profile = ProfileReader(
        RedisTarget(url + "?db=0", PASSWORD_SECRET, make_client=manager.make_client), "segments:", "canary:1"
    )
    secrets_of(manager.make_client).forget(PASSWORD_SECRET)
    assert read_profile() is None
    with pytest.raises(CanaryError, match=r"^Redis cannot be used: WRONGPASS") as raised:
        read_profile()
    assert "tomorrow" not in str(raised.value)
    assert len(manager.reads) == 4


def test_an_unreadable_secret_is_reported() -> None:
    manager = FakeSecretManager()
    read_profile = ProfileReader(
        RedisTarget("redis://h", PASSWORD_SECRET, make_client=manager.make_client), "segments:", "canary:1"
    )
    with pytest.raises(CanaryError, match="cannot be read: NotFound"):
        read_profile()


# Its flags


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("--events_topic=events", "--events_topic must look like projects/P/topics/T"),
        ("--events_topic=", "--events_topic is empty"),
        ("--redis_url=http://shop", "--redis_url must be redis://"),
        (
            "--redis_auth_secret=sesame",
            "--redis_auth_secret must look like projects/P/secrets/S/versions/V",
        ),
        ("--segments=nowhere.yaml", "nowhere.yaml cannot be read"),
        ("--timeout_seconds=0", "give 1 to 3600 whole seconds"),
        ("--timeout_seconds=soon", "--timeout_seconds"),
    ],
)
def test_a_wrong_flag_ends_it_before_anything_is_sent(
    wrong: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("commands.canary._publish", lambda *_: pytest.fail("it was sent"))
    (tmp_path / "segments.yaml").write_text(RULES)
    right = ["--events_topic=projects/project-x/topics/events", "--redis_url=redis://localhost/0"]
    try:
        status = main([*right, f"--segments={tmp_path}/segments.yaml", wrong])
    except SystemExit as end:
        status = int(end.code or 0)
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert message in shown.err
    assert "sesame" not in shown.err
