"""`segments canary` against a real Pub/Sub, a real Redis and the job between them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from commands.canary import PROFILE_PREFIX
from commands.cli import main
from tests.integration.conftest import Shop
from tests.integration.live_job import RULES, Topic
from tests.waiting import until

SEGMENTS = f"--segments={RULES}"


def canary(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, Any]]:
    """Returns the exit status and the line."""
    capsys.readouterr()
    status = main(["canary", *flags])
    (line,) = capsys.readouterr().out.splitlines()
    return status, json.loads(line)


def test_a_synthetic_profile_comes_in_and_goes_out_by_time_alone(
    shop: Shop, capsys: pytest.CaptureFixture[str], measured: dict[str, list[float]]
) -> None:
    topic, url = f"--events_topic={shop.events.name}", f"--redis_url={shop.job.redis_url}"
    status, said = canary(capsys, topic, url, SEGMENTS, "--timeout_seconds=240")
    assert (status, said["canary"], said["message"]) == (0, "passed", "canary: passed")
    measured.setdefault("canary: event to Redis", []).append(said["event_to_redis_ms"] / 1000)
    measured.setdefault("canary: exit lag", []).append(said["exit_lag_ms"] / 1000)
    assert said["event_to_redis_ms"] > 0
    assert said["exit_lag_ms"] >= 0

    def rows() -> list[dict[str, Any]]:
        return [row for row in shop.job.rows() if row["profile_id"].startswith(PROFILE_PREFIX)]

    until(lambda: len(rows()) == 2, "entry and exit in the history")
    entered, exited = sorted(rows(), key=lambda row: row["change"])  # the exit can be written first
    assert (entered["segment"], entered["change"], entered["cause"]) == ("canary", "entered", "event")
    assert (exited["segment"], exited["change"], exited["cause"]) == ("canary", "exited", "time")
    assert exited["event_time"] == entered["expires_at"]


def test_a_topic_that_no_job_reads_is_a_failure(
    new_topic: Callable[[], Topic], redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    unread = f"--events_topic={new_topic().name}"
    status, said = canary(capsys, unread, f"--redis_url={redis_url}", SEGMENTS, "--timeout_seconds=1")
    assert (status, said["canary"], said["severity"]) == (1, "failed", "ERROR")
    assert said["message"] == "canary: the event was not in Redis within 1 s"
    assert (said["event_to_redis_ms"], said["exit_lag_ms"]) == (None, None)


def test_a_topic_that_does_not_exist_is_a_wrong_flag(capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = "projects/project-x/topics/nowhere"
    assert main(["canary", f"--events_topic={nowhere}", "--redis_url=redis://localhost/0", SEGMENTS]) == 2
    expected = f"segments canary: --events_topic: {nowhere} does not exist in the emulator"
    assert capsys.readouterr().err.startswith(expected)
