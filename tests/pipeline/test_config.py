"""Flags become a configuration, or one message that says what to change."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata, MatchResult
from apache_beam.io.filesystems import FileSystems
from google.api_core.exceptions import NotFound

from pipeline.bounded_log import latest_event_ms
from pipeline.config import Files, Log, SegmentationConfig, Subscription, Table, Topic
from pipeline.flags.forms import ConfigError
from pipeline.main import parse_options
from pipeline.options import SegmentationOptions
from segmentation.identifiers import DEFAULT_IGNORED_IDS
from segmentation.timestamps import parse_timestamp
from stores.redis.access import RedisTarget
from tests.events import START_MS, payload

DAY_MS = 86_400_000
NOW_MS = START_MS + DAY_MS
RULES = (
    "version: 1\nsegments:\n  loyal:\n    when: {event: Order Completed, within: 30d, count: {at_least: 2}}\n"
)
SUBSCRIPTION = "projects/my-shop/subscriptions/events"


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    file = tmp_path / "segments.yaml"
    file.write_text(RULES)
    return file


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    file.write_bytes(payload(0, "Order Completed") + b"\n" + payload(90, "Order Completed") + b"\n")
    return file


@pytest.fixture
def flags(tmp_path: Path, segments: Path, log: Path) -> dict[str, str | None]:
    """A right set of flags, by name."""
    return {
        "events": str(log),
        "segments": str(segments),
        "redis_url": "redis://localhost:6379/0",
        "history_path": f"{tmp_path}/out/history",
        "dead_letter_path": f"{tmp_path}/out/dead",
    }


def config_of(flags: dict[str, str | None], **changed: str | None) -> SegmentationConfig:
    """Returns the configuration; a flag that is None is left out."""
    argv = [f"--{name}={value}" for name, value in {**flags, **changed}.items() if value is not None]
    return SegmentationConfig.from_options(parse_options(argv).view_as(SegmentationOptions), NOW_MS)


def log_of(config: SegmentationConfig) -> Log:
    assert isinstance(config.source, Log)
    return config.source


def mistake(flags: dict[str, str | None], **changed: str | None) -> str:
    with pytest.raises(ConfigError) as raised:
        config_of(flags, **changed)
    return str(raised.value)


def unbounded(**flags: str) -> dict[str, str | None]:
    return {"events": None, "input_subscription": SUBSCRIPTION, **flags}


def test_a_bounded_run(flags: dict[str, str | None], log: Path, tmp_path: Path) -> None:
    assert config_of(flags) == SegmentationConfig(
        source=Log((str(log),), as_of_ms=START_MS + 90_000, run=str(NOW_MS)),
        rules_text=RULES,
        redis=RedisTarget("redis://localhost:6379/0"),
        redis_key_prefix="segments:",
        profile_ttl_ms=400 * DAY_MS,
        history=Files(f"{tmp_path}/out/history"),
        dead_letters=Files(f"{tmp_path}/out/dead"),
    )
    assert (config_of(flags).run, config_of(flags).as_of_ms) == (str(NOW_MS), START_MS + 90_000)


def test_a_tracking_plan(flags: dict[str, str | None], tmp_path: Path) -> None:
    assert config_of(flags).tracking_plan is None
    plan = "event: A\non_violation: flag\nschema: {}\n"
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "a.yaml").write_text(plan)
    assert config_of(flags, tracking_plan=f"{tmp_path}/plan").tracking_plan == (("a.yaml", plan),)
    assert mistake(flags, tracking_plan="nowhere").startswith("--tracking_plan: nowhere cannot be read: ")


def test_ignored_ids(flags: dict[str, str | None], tmp_path: Path) -> None:
    assert config_of(flags).ignored_ids == DEFAULT_IGNORED_IDS
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbfShopper\r\n# none of ours\r\n")
    ignored = config_of(flags, ignored_ids=f"{tmp_path}/ids.txt").ignored_ids
    assert list(ignored) == ["shopper"]
    assert ignored.ignores("SHOPPER")


def test_an_unbounded_run(flags: dict[str, str | None]) -> None:
    config = config_of(
        flags,
        **unbounded(
            redis_url="rediss://localhost:6380",
            redis_key_prefix="shop:",
            profile_ttl="90d",
            idle_ttl="2d",
            changes_topic="projects/my-shop/topics/changes",
            redis_auth_secret="projects/my-shop/secrets/redis/versions/latest",
            redis_ca_secret="projects/my-shop/secrets/redis-ca/versions/1",
        ),
    )
    assert config.source == Subscription(SUBSCRIPTION)
    assert (config.run, config.as_of_ms) == (None, None)
    assert (config.redis_key_prefix, config.profile_ttl_ms) == ("shop:", 90 * DAY_MS)
    assert config.idle_ttl_ms == 2 * DAY_MS
    assert config.changes_topic == "projects/my-shop/topics/changes"
    assert config.redis.auth_secret == "projects/my-shop/secrets/redis/versions/latest"
    assert config.redis.ca_secret == "projects/my-shop/secrets/redis-ca/versions/1"


def test_tables_and_topics_instead_of_files(flags: dict[str, str | None]) -> None:
    tables = {
        "history_table": "shop:segments.segment_changes",
        "dead_letter_topic": "projects/my-shop/topics/dead",
    }
    config = config_of(flags, history_path=None, dead_letter_path=None, **tables)
    assert config.history == Table("shop:segments.segment_changes")
    assert config.dead_letters == Topic("projects/my-shop/topics/dead")
    domain = config_of(flags, history_path=None, history_table="example.com:shop:segments.segment_changes")
    assert domain.history == Table("example.com:shop:segments.segment_changes")


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({"input_subscription": SUBSCRIPTION}, "give exactly one of --events and --input_subscription"),
        ({"events": None}, "give exactly one of --events and --input_subscription"),
        ({"events": ""}, "give exactly one of --events and --input_subscription"),
        ({"redis_url": None}, "missing: --redis_url"),
        ({"redis_url": "", "segments": None}, "missing: --segments, --redis_url"),
        ({"history_path": None}, "give exactly one of --history_table and --history_path"),
        ({"history_table": "p:d.t"}, "give exactly one of --history_table and --history_path"),
        ({"dead_letter_path": None}, "give exactly one of --dead_letter_topic and --dead_letter_path"),
        (
            {"history_path": None, "history_table": "d.t"},
            "--history_table must look like PROJECT:DATASET.TABLE, got d.t",
        ),
        (
            {"dead_letter_path": None, "dead_letter_topic": "dead"},
            "--dead_letter_topic must look like projects/P/topics/T, P of 6 characters or more, got dead",
        ),
        ({"changes_topic": "c"}, "--changes_topic must look like projects/P/topics/T, "),
        (
            unbounded(input_subscription="events"),
            "--input_subscription must look like projects/P/subscriptions/S, ",
        ),
        (
            unbounded(input_subscription="projects/shop/subscriptions/events"),
            "--input_subscription must look like projects/P/subscriptions/S, P of 6 characters or more, got",
        ),
        (unbounded(as_of="2026-03-02T12:00:00Z"), "--as_of goes with --events only"),
        (unbounded(history_path="gs://b/h"), "--history_path cannot be appended to on gs://"),
        (unbounded(dead_letter_path="gs://b/d"), "--dead_letter_path cannot be appended to on gs://"),
        ({"as_of": "yesterday"}, "--as_of: expected RFC 3339 with an offset"),
        ({"as_of": "2026-03-02T12:00:00"}, "--as_of: expected RFC 3339 with an offset"),
        ({"as_of": "2026-02-30T12:00:00Z"}, "--as_of: day is out of range for month"),
        ({"as_of": ""}, "--as_of: expected RFC 3339 with an offset"),
        ({"events": "gs://bucket/log*.jsonl"}, "--as_of is missing: a log on gs:// is not read twice"),
        ({"ignored_ids": "/nowhere"}, "--ignored_ids: /nowhere cannot be read: No such file or directory"),
        ({"profile_ttl": "forever"}, "--profile_ttl: expected a duration such as 30s"),
        ({"profile_ttl": "401d"}, "--profile_ttl: expected a duration of at least 1s and at most 400d"),
        ({"idle_ttl": "never"}, "--idle_ttl: expected a duration such as 30s"),
        ({"idle_ttl": "0s"}, "--idle_ttl: expected a duration of at least 1s and at most 400d"),
        ({"events": "/no/such/log*"}, "--events: /no/such/log* matches no file"),
        ({"segments": "/no/such.yaml"}, "--segments: /no/such.yaml cannot be read: No such file"),
        ({"segments": "/"}, "--segments: / cannot be read: Is a directory"),
        ({"events": "/"}, "--events: / cannot be read: Is a directory"),
        (
            {"history_path": "/dev/null/x/history"},
            "--history_path: /dev/null/x cannot be made: Not a directory",
        ),
    ],
)
def test_says_what_is_wrong(
    flags: dict[str, str | None], changed: dict[str, str | None], expected: str
) -> None:
    assert mistake(flags, **changed).startswith(expected)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://:sesame@localhost",
        "redis://:sesame@localhost:port/0",
        "redis://:sesame@[localhost",
        "redis://:sesame@localhost?passwort=sesame",
    ],
)
def test_refuses_a_redis_url_without_showing_it(flags: dict[str, str | None], url: str) -> None:
    message = mistake(flags, redis_url=url)
    assert message.startswith("--redis_url ")
    assert "sesame" not in message


@pytest.mark.parametrize(
    "url", ["rediss://u:p@redis.example:6380/1", "unix:///run/redis.sock", "redis://h?socket_timeout=1"]
)
def test_takes_a_redis_url(flags: dict[str, str | None], url: str) -> None:
    assert config_of(flags, redis_url=url).redis.url == url


def test_does_not_show_what_was_given_for_a_secrets_name(flags: dict[str, str | None]) -> None:
    message = mistake(flags, redis_auth_secret="sesame")
    assert message == "--redis_auth_secret must look like projects/P/secrets/S/versions/V"


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({"runner": "DataflowRunner"}, "--redis_url holds a password, and a job's flags are no secret"),
        ({"redis_auth_secret": "projects/p/secrets/s/versions/1"}, "--redis_url holds a password already"),
        ({"redis_ca_secret": "projects/p/secrets/s/versions/1"}, "--redis_ca_secret is for TLS"),
    ],
)
def test_a_password_stands_in_one_place_that_fits(
    flags: dict[str, str | None], changed: dict[str, str | None], expected: str
) -> None:
    message = mistake(flags, redis_url="redis://:sesame@localhost", **changed)
    assert message.startswith(expected)
    assert "sesame" not in message


def test_shows_neither_password_nor_rules_as_text(flags: dict[str, str | None]) -> None:
    shown = repr(config_of(flags, redis_url="redis://:sesame@localhost"))
    assert "sesame" not in shown
    assert "Order Completed" not in shown


def test_lists_every_mistake_of_the_rules(flags: dict[str, str | None], segments: Path) -> None:
    segments.write_text(RULES.replace("within", "witin").replace("at_least: 2", "at_least: two"))
    heading, *mistakes = mistake(flags).splitlines()
    assert heading == f"--segments: {segments} has 2 mistakes:"
    assert [line[:9] for line in mistakes] == ["  line 4:", "  line 4:"]
    assert "within" in mistake(flags)
    assert "'two'" in mistake(flags)
    segments.write_text(RULES.replace("version: 1", "version: 7"))
    assert f"{segments} has 1 mistake:\n" in mistake(flags)


def test_refuses_rules_that_are_not_utf_8(flags: dict[str, str | None], segments: Path) -> None:
    segments.write_bytes(b"version: \xff")
    assert mistake(flags) == f"--segments: {segments} is not UTF-8"


def test_a_profile_is_kept_for_the_longest_window_at_least(flags: dict[str, str | None]) -> None:
    assert config_of(flags, profile_ttl="1d").profile_ttl_ms == 30 * DAY_MS
    assert config_of(flags, profile_ttl="31d").profile_ttl_ms == 31 * DAY_MS


def test_an_idle_visitor_is_kept_in_redis_for_no_longer_than_a_profile(flags: dict[str, str | None]) -> None:
    assert config_of(flags).idle_ttl_ms == 7 * DAY_MS
    assert config_of(flags, idle_ttl="12h").idle_ttl_ms == DAY_MS // 2
    assert config_of(flags, idle_ttl="60d", profile_ttl="31d").idle_ttl_ms == 31 * DAY_MS


def test_two_outputs_cannot_share_their_files(flags: dict[str, str | None]) -> None:
    changed = {"dead_letter_path": flags["history_path"]}
    assert mistake(flags, **changed) == "--history_path and --dead_letter_path must differ"


def test_makes_the_folders_of_what_it_writes(flags: dict[str, str | None], tmp_path: Path) -> None:
    config_of(flags, history_path=f"{tmp_path}/a/b/history", dead_letter_path="gs://bucket/dead")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_must_take_files(
    flags: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda folder, mode: False)
    assert mistake(flags) == f"--history_path: {tmp_path}/out cannot be written to"


# The log's files


def test_files_of_a_glob_come_in_order_of_their_names(flags: dict[str, str | None], tmp_path: Path) -> None:
    for name in ("part-2.jsonl", "part-10.jsonl", "part-1.jsonl.gz"):
        data = payload(0, "Order Completed")
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    names = [Path(path).name for path in log_of(config_of(flags, events=f"{tmp_path}/part-*")).paths]
    assert names == ["part-1.jsonl.gz", "part-10.jsonl", "part-2.jsonl"]


@pytest.mark.parametrize("as_of", [None, "2026-03-02T12:00:00Z"], ids=["first pass", "given"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-8] + bytes(8),
        lambda data: data[:1000] + bytes(100) + data[1100:],
        lambda data: data + b'{"type": "track"}\n',
    ],
    ids=["cut off", "wrong checksum", "overwritten", "followed by something else"],
)
def test_refuses_a_damaged_gz(
    flags: dict[str, str | None], tmp_path: Path, as_of: str | None, damage: Any
) -> None:
    whole = gzip.compress(b"\n".join(payload(second, "Order Completed") for second in range(2000)), mtime=0)
    (tmp_path / "a.jsonl.gz").write_bytes(whole)
    for name in ("b.jsonl.gz", "c.jsonl"):
        (tmp_path / name).write_bytes(damage(whole))
        message = mistake(flags, events=f"{tmp_path}/[a{name[0]}].*", as_of=as_of)
        assert message.startswith(f"--events: {tmp_path}/{name} cannot be read: ")


# The end of time


def latest_of(tmp_path: Path, *lines: bytes, now_ms: int = NOW_MS) -> int:
    log = tmp_path / "lines.jsonl"
    log.write_bytes(b"\n".join(lines))
    return latest_event_ms((str(log),), now_ms)


def test_events_of_nobody_do_not_tell_the_time(flags: dict[str, str | None], tmp_path: Path) -> None:
    nobody = payload(90, "A").replace(b'"u1"', b'"shopper"')
    (tmp_path / "log.jsonl").write_bytes(payload(5, "A") + b"\n" + nobody)
    (tmp_path / "ids.txt").write_text("shopper")
    for ignored_ids, seconds in ((None, 90), (f"{tmp_path}/ids.txt", 5)):
        config = config_of(flags, events=f"{tmp_path}/log.jsonl", ignored_ids=ignored_ids)
        assert config.as_of_ms == START_MS + seconds * 1000


def test_time_ends_with_the_latest_event_wherever_it_stands(tmp_path: Path) -> None:
    lines = [payload(second, "Order Completed") for second in (5, 90, 40)]
    assert latest_of(tmp_path, *lines) == START_MS + 90_000


def test_time_does_not_end_after_the_start_of_the_run(tmp_path: Path) -> None:
    lines = [payload(second, "Order Completed") for second in (5, 40, 40.001, 90)]
    assert latest_of(tmp_path, *lines, now_ms=START_MS + 40_000) == START_MS + 40_000


def test_dead_letters_do_not_tell_the_time(tmp_path: Path) -> None:
    later = payload(500, "Order Completed")
    dead = [
        later.replace(b'"track"', b'"trick"'),
        later.replace(b'"u1"', b'""'),
        later[:-1],
        later.replace(b"000Z", b"000"),
        b"\xff",
        b"",
    ]
    assert latest_of(tmp_path, payload(5, "Order Completed"), *dead) == START_MS + 5_000


def test_without_an_event_time_ends_at_the_start_of_the_run(tmp_path: Path) -> None:
    assert latest_of(tmp_path) == NOW_MS
    assert latest_of(tmp_path, b"{}") == NOW_MS
    assert latest_of(tmp_path, payload(5, "Order Completed"), now_ms=START_MS) == START_MS


def test_the_epoch_is_an_instant_like_others(tmp_path: Path) -> None:
    event = payload(0, "Order Completed")
    epoch, before = (
        event.replace(b"2026-03-02T12:00:00.000Z", text)
        for text in (b"1970-01-01T00:00:00.000Z", b"1969-12-31T00:00:00.000Z")
    )
    assert latest_of(tmp_path, before, epoch, before) == 0


def test_time_ends_with_the_latest_event_of_all_files(flags: dict[str, str | None], tmp_path: Path) -> None:
    (tmp_path / "part-1.jsonl.gz").write_bytes(gzip.compress(payload(70, "Order Completed")))
    (tmp_path / "part-2.jsonl").write_bytes(payload(30, "Order Completed"))
    assert config_of(flags, events=f"{tmp_path}/part-*").as_of_ms == START_MS + 70_000


def test_the_real_logs_end_with_their_latest_event() -> None:
    views = latest_event_ms(("data/shop_views_2019-10-01.jsonl.gz",), NOW_MS)
    assert views == parse_timestamp("2019-10-01T02:50:00Z")


def test_the_end_of_time_can_be_given(flags: dict[str, str | None]) -> None:
    assert config_of(flags, as_of="2026-03-02T13:00:00+01:00").as_of_ms == START_MS


# gs://


def test_a_log_on_gs_is_neither_read_nor_asked_for_its_latest_event(
    flags: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [FileMetadata(f"gs://bucket/log-{number}.jsonl.gz", 1) for number in (2, 1)]
    monkeypatch.setattr(FileSystems, "match", lambda patterns: [MatchResult(patterns[0], found)])
    opened = []

    def lines_of(path: str) -> Any:
        opened.append(path)
        yield b"one"
        raise AssertionError("read on")

    monkeypatch.setattr("pipeline.bounded_log.read_lines", lines_of)
    config = config_of(flags, events="gs://bucket/log-*", as_of="2026-03-02T12:00:00Z")
    assert (
        list(log_of(config).paths) == opened == ["gs://bucket/log-1.jsonl.gz", "gs://bucket/log-2.jsonl.gz"]
    )


def test_what_gs_refuses_is_a_message(flags: dict[str, str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_to_list(patterns: list[str]) -> Any:
        raise BeamIOError("List operation failed")

    def refuse_to_open(path: str, *args: Any, **kwargs: Any) -> Any:
        raise NotFound(f"no {path}")

    monkeypatch.setattr(FileSystems, "match", refuse_to_list)
    monkeypatch.setattr(FileSystems, "open", refuse_to_open)
    cloud = {"events": "gs://b/log", "as_of": "2026-03-02T12:00:00Z"}
    assert mistake(flags, **cloud).startswith("--events: gs://b/log cannot be read: List operation failed")
    monkeypatch.setattr(
        FileSystems, "match", lambda patterns: [MatchResult(patterns[0], [FileMetadata("gs://b/log", 1)])]
    )
    assert mistake(flags, **cloud) == "--events: gs://b/log cannot be read: 404 no gs://b/log"
    assert mistake(flags, segments="gs://b/s") == "--segments: gs://b/s cannot be read: 404 no gs://b/s"
