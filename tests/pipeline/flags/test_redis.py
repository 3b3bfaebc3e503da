"""The flags that lead to Redis: no secret leaves this machine, and a silent Redis is found at the start."""

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import redis
from apache_beam.options.pipeline_options import GoogleCloudOptions

from local.embedded_redis import EmbeddedRedis
from pipeline.config import SegmentationConfig
from pipeline.flags.forms import ConfigError
from pipeline.flags.redis import RedisFlagsError, check_answer, redis_target, with_flag
from pipeline.main import main, parse_options
from pipeline.options import SegmentationOptions
from stores.clock import system_clock_ms
from stores.redis.access import RedisTarget
from stores.redis.client import FAULTS
from tests.events import START_MS, payload
from tests.stores.redis.cluster import running_cluster
from tests.stores.secret_manager import PASSWORD_SECRET, FakeSecretManager
from transforms.clock_checks import RedisClockCheck

AUTH, CA = "projects/shop/secrets/redis/versions/latest", "projects/shop/secrets/redis-ca/versions/2"
RULES = (
    "version: 1\nsegments:\n  buyer:\n    when: {event: Order Completed, within: 1h, count: {at_least: 1}}\n"
)
DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=my-shop",
    "--region=europe-west1",
    "--temp_location=gs://bucket/tmp",
]


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """A right set of flags, without --redis_url."""
    (tmp_path / "segments.yaml").write_text(RULES)
    (tmp_path / "log.jsonl").write_bytes(payload(0, "Order Completed"))
    return [
        f"--events={tmp_path}/log.jsonl",
        f"--segments={tmp_path}/segments.yaml",
        f"--history_path={tmp_path}/history",
        f"--dead_letter_path={tmp_path}/dead",
    ]


def config_of(*flags: str) -> SegmentationConfig:
    return SegmentationConfig.from_options(parse_options(list(flags)).view_as(SegmentationOptions), START_MS)


# Passwords


@pytest.mark.parametrize(
    "url",
    ["rediss://:sesame@h", "rediss://writer:sesame@h:6378/0", "rediss://writer@h?password=sesame"],
)
def test_on_dataflow_the_url_holds_no_password(
    flags: list[str], url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(beam.Pipeline, "run", lambda pipeline: pytest.fail("it ran"))
    assert main([*flags, *DATAFLOW, f"--redis_url={url}"]) == 2
    shown = capsys.readouterr()
    assert shown.err == (
        "segments run: --redis_url holds a password, and a job's flags are no secret: take it out and give"
        " --redis_auth_secret\n"
    )


@pytest.mark.parametrize("runner", ["DataflowRunner", "dataflowrunner", "apache_beam.runners.DataflowRunner"])
def test_on_dataflow_by_any_name(flags: list[str], runner: str) -> None:
    with pytest.raises(ConfigError, match="give --redis_auth_secret"):
        config_of(*flags, f"--runner={runner}", "--redis_url=redis://:sesame@h")


def test_on_dataflow_secrets_go_by_name(flags: list[str]) -> None:
    config = config_of(
        *flags,
        *DATAFLOW,
        "--redis_url=rediss://writer@h",
        f"--redis_auth_secret={AUTH}",
        f"--redis_ca_secret={CA}",
    )
    assert config.redis == RedisTarget("rediss://writer@h", AUTH, CA)
    options = parse_options([*flags, *DATAFLOW, f"--redis_auth_secret={AUTH}"])
    assert options.view_as(GoogleCloudOptions).project == "my-shop"
    assert AUTH in options.display_data()["redis_auth_secret"]


@pytest.mark.parametrize("runner", [[], ["--runner=DirectRunner"], ["--runner=FlinkRunner"]])
def test_elsewhere_it_may_hold_one(flags: list[str], runner: list[str]) -> None:
    assert config_of(*flags, *runner, "--redis_url=redis://:sesame@h").redis.url == "redis://:sesame@h"


@pytest.mark.parametrize(
    "url, auth_secret, ca_secret, expected",
    [
        (
            "redis://:sesame@h",
            AUTH,
            None,
            "--redis_url holds a password already: take it out, or --redis_auth",
        ),
        ("redis://h", None, CA, "--redis_ca_secret is for TLS: begin --redis_url with rediss://"),
        ("unix:///run/redis.sock", None, CA, "--redis_ca_secret is for TLS"),
        ("redis://:sesame@h?passwort=x", None, None, "--redis_url has an option, after its question mark"),
        ("sesame", None, None, "--redis_url must be redis://HOST:PORT/DB"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    url: str, auth_secret: str | None, ca_secret: str | None, expected: str
) -> None:
    with pytest.raises(RedisFlagsError) as raised:
        redis_target(url, auth_secret, ca_secret, may_hold_password=True)
    assert str(raised.value).startswith(expected)
    assert "sesame" not in str(raised.value)


# A sign of life


def run_in_vain(
    flags: list[str], url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Returns the one message with which the program ends."""
    monkeypatch.setattr(beam.Pipeline, "run", lambda pipeline: pytest.fail("it ran"))
    assert main([*flags, f"--redis_url={url}"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


@pytest.mark.parametrize("name", ["", "writer"])
def test_a_run_on_this_machine_ends_at_once_without_redis(
    flags: list[str],
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = run_in_vain(flags, f"unix://{name}:sesame@{tmp_path}/no.sock", monkeypatch, capsys)
    assert message.startswith(
        "segments run: Redis cannot be used: out of reach: check that the Redis URL leads to a running Redis"
    )
    assert message.endswith("; see --redis_url\n")
    assert message.count("\n") == 1
    assert "sesame" not in message
    assert list(tmp_path.glob("history*")) == []


@pytest.mark.parametrize("user, code", [("", "NOAUTH"), (":simsim@", "WRONGPASS")])
def test_a_refused_password_is_an_error_that_does_not_show_it(
    flags: list[str],
    tmp_path: Path,
    user: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with EmbeddedRedis(tmp_path / "redis", password="sesame"):
        message = run_in_vain(flags, f"unix://{user}{tmp_path}/redis/redis.sock", monkeypatch, capsys)
    assert message.startswith(f"segments run: Redis cannot be used: {code}: ")
    assert message.endswith("; see --redis_auth_secret\n")
    assert not any(word in message for word in ("sesame", "simsim", "Traceback"))


def test_a_secret_that_cannot_be_read_is_named(
    flags: list[str],
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    message = run_in_vain([*flags, f"--redis_auth_secret={AUTH}"], redis_url, monkeypatch, capsys)
    assert message == (
        f"segments run: {AUTH} cannot be read: DefaultCredentialsError: this machine has no valid"
        " Google credentials\n"
    )


def test_a_fault_is_followed_by_a_flag_that_exists() -> None:
    assert with_flag(FAULTS["NOPERM"]) == str(FAULTS["NOPERM"])
    hints = [with_flag(fault).rpartition("; see ")[2] for fault in FAULTS.values() if fault.setting]
    names = {f"--{name}" for name in SegmentationOptions([]).get_all_options()}
    assert set(hints) <= names
    assert len(set(hints)) == 5


def test_a_secret_opens_redis(tmp_path: Path) -> None:
    manager = FakeSecretManager()
    manager.held[PASSWORD_SECRET] = b"sesame"
    with EmbeddedRedis(tmp_path, password="sesame") as server:
        url = f"unix://{tmp_path}/redis.sock"
        assert server.url != url
        check_answer(RedisTarget(url, PASSWORD_SECRET, None, manager.make_client))
        with pytest.raises(RedisFlagsError, match="Redis cannot be used: NOAUTH"):
            check_answer(RedisTarget(url))


def test_a_cluster_answers(tmp_path: Path) -> None:
    with running_cluster(tmp_path, 1) as nodes:
        check_answer(RedisTarget(nodes[0].url))


def test_a_clock_far_ahead_of_redis_is_refused(
    flags: list[str], redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    almost_62_minutes_ms = (
        3_719_000  # Redis's answer comes later than this clock is read, so that it is less ahead
    )
    ahead = RedisClockCheck(
        RedisTarget(redis_url), lambda: system_clock_ms() + almost_62_minutes_ms, lambda: None
    )
    monkeypatch.setattr("pipeline.main.redis_clock_check", lambda target: ahead)
    assert main([*flags, f"--redis_url={redis_url}"]) == 2
    assert (
        "segments run: this machine's clock is at least 61 minutes ahead of Redis's"
        in capsys.readouterr().err
    )


def test_other_runners_are_not_asked(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(beam.Pipeline, "run", lambda pipeline: ran.append(pipeline))
    assert main([*flags, "--runner=FlinkRunner", f"--redis_url=unix://{tmp_path}/no.sock"]) == 0
    assert len(ran) == 1


def test_a_run_writes_with_a_users_password(flags: list[str], tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis", password="sesame") as server:
        with redis.Redis.from_url(server.url, decode_responses=True) as admin:
            admin.acl_setuser(
                "writer", enabled=True, passwords=["+simsim"], keys=["segments:*"], categories=["+@all"]
            )
            assert main([*flags, f"--redis_url=unix://writer:simsim@{tmp_path}/redis/redis.sock"]) == 0
            assert admin.hget("segments:profile:u1", "version") is not None
