"""A log is replayed as if it began now, at another speed, with what was late in it late again."""

from typing import Any

from services.live.replay import ScheduledMessage, schedule_log
from tests.events import START_MS, message

NOW_MS = START_MS + 1e10


def received(seconds: float, at: float, user: str) -> dict[str, Any]:
    """Returns a view that arrived so many seconds after the start."""
    return {**message(seconds, "Product Viewed", user), "receivedAt": message(at, "x")["timestamp"]}


def test_time_passes_faster_and_begins_now():
    log = [message(0, "A"), message(60, "B"), message(150, "C")]
    assert list(schedule_log(iter(log), 60, NOW_MS)) == [
        ScheduledMessage(log[0], NOW_MS, NOW_MS),
        ScheduledMessage(log[1], NOW_MS + 1000, NOW_MS + 1000),
        ScheduledMessage(log[2], NOW_MS + 2500, NOW_MS + 2500),
    ]


def test_what_was_late_is_late_again():
    log = [received(0, 0, "a"), received(30, 600, "b")]
    (_, late) = schedule_log(iter(log), 10, NOW_MS)
    assert (late.send_at_ms, late.timestamp_ms) == (NOW_MS + 60_000, NOW_MS + 3000)


def test_an_empty_log():
    assert list(schedule_log(iter([]), 60, NOW_MS)) == []
