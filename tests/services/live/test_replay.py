"""A log is replayed as if it began now, at another speed, with what was late in it late again."""

import itertools
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from services.live.backlog import Waiting
from services.live.replay import Brake, ScheduledMessage, replay_log, schedule_log
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


class World:
    """A clock, and a job that decides ten events in each 0.1 s that pass."""

    def __init__(self, waiting: int) -> None:
        self.now_ms = 1000
        self.waiting = waiting
        self.decided = 0
        self.said: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self.waiting -= 10
        self.decided += 10

    def brake(self, unsent: int = 0) -> Brake:
        read = lambda: Waiting(self.waiting, 0, self.decided)  # noqa: E731
        return Brake(read, lambda: unsent, self.said.append, self.sleep, lambda: self.now_ms)


def test_nothing_is_held_while_the_job_follows():
    world = World(waiting=150)
    brake = world.brake(unsent=50)
    assert not brake.hold()
    assert (brake.held_ms, world.said) == (0, [])


def test_a_replay_is_held_until_few_events_wait_and_what_the_sdk_has_not_sent_counts():
    world = World(waiting=250)
    brake = world.brake(unsent=50)
    assert brake.hold()
    assert world.waiting == 150
    assert brake.held_ms == 1000
    assert world.said == []


def test_a_replay_that_is_held_for_long_says_so_once_with_the_rate():
    world = World(waiting=900)
    brake = world.brake()
    brake.hold()
    world.waiting = 900
    brake.hold()
    assert world.said == ["slowed down: the job decides about 100 events a second on this machine"]


def test_a_replay_waits_for_the_first_word_of_the_job():
    answers = iter([None, None, Waiting(0, 0, 0)])
    slept: list[float] = []
    brake = Brake(lambda: next(answers), lambda: 0, slept.append, slept.append, lambda: len(slept))
    assert brake.hold()
    assert len(slept) == 2


class SDK:
    """Keeps the times of events."""

    def __init__(self) -> None:
        self.times: list[datetime] = []

    def track(self, timestamp: datetime, **fields: Any) -> None:
        self.times.append(timestamp)

    def flush(self) -> None:
        pass

    join = flush


class HoldsAtFirst(Brake):
    """Holds once."""

    def __init__(self) -> None:
        self._answers = itertools.chain([True], itertools.repeat(False))

    def hold(self) -> bool:
        return next(self._answers)


def test_after_a_hold_all_later_times_shift(monkeypatch):
    log = [message(second, "A") for second in range(30)]
    monkeypatch.setattr("services.live.replay.time", SimpleNamespace(time=lambda: NOW_MS / 1000))
    sdk, slept = SDK(), []
    assert replay_log(schedule_log(iter(log), 1, NOW_MS - 60_000), sdk, HoldsAtFirst(), slept.append) == 30
    assert sdk.times[0].timestamp() * 1000 == NOW_MS
    assert (sdk.times[-1] - sdk.times[0]).total_seconds() == 29
    assert slept == list(range(1, 30)), "later messages wait for their shifted times"
