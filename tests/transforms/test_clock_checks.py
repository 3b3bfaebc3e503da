"""A machine whose clock is wrong is refused, and one whose clock may be right never is."""

import pytest

from stores.clock import ClockError, system_clock_ms
from stores.redis.access import RedisTarget
from transforms.clock_checks import (
    RedisClockCheck,
    check_publish_time,
    newest_published_ms,
)

MINUTE_MS = 60_000
NOW_MS = 1_800_000_000_000


@pytest.fixture(autouse=True)
def no_earlier_messages(monkeypatch):
    monkeypatch.setattr("transforms.clock_checks._newest_published_ms", None)


# Publish times


@pytest.mark.parametrize("behind_ms", [-400 * 86_400_000, -MINUTE_MS, 0, 5 * MINUTE_MS])
def test_old_messages_and_small_differences_are_taken(behind_ms):
    check_publish_time(NOW_MS, NOW_MS + behind_ms)
    assert newest_published_ms() == NOW_MS + behind_ms


def test_a_clock_that_is_behind_a_publish_time_is_refused():
    check_publish_time(NOW_MS, None)
    with pytest.raises(
        ClockError, match="clock is at least 61 minutes behind Pub/Sub's, by the publish time"
    ):
        check_publish_time(NOW_MS, NOW_MS + 61 * MINUTE_MS)


def test_the_newest_publish_time_is_remembered():
    assert newest_published_ms() is None
    for published_ms in (NOW_MS - 1, NOW_MS, NOW_MS - 2):
        check_publish_time(NOW_MS, published_ms)
    assert newest_published_ms() == NOW_MS


# Redis


class Check:
    """A check of a clock that differs from Redis's, which is right in these tests unless a publish time tells."""

    def __init__(self, url, ahead_ms, newest_published_ms=None):
        self.ahead_ms = ahead_ms
        self.seconds = 0.0
        self._check = RedisClockCheck(
            RedisTarget(url),
            lambda: system_clock_ms() + self.ahead_ms,
            lambda: newest_published_ms,
            lambda: self.seconds,
        )

    def __call__(self):
        self._check.check()


@pytest.mark.parametrize("minutes", [-4, 0, 4])
def test_a_small_difference_is_taken(redis_url, caplog, minutes):
    Check(redis_url, minutes * MINUTE_MS)()
    assert caplog.messages == []


def test_a_clock_ahead_of_redis_is_refused_each_time(redis_url):
    check = Check(redis_url, 61 * MINUTE_MS)
    for _ in range(2):
        with pytest.raises(ClockError, match="clock is at least 6[01] minutes ahead of Redis's: set the one"):
            check()
    check.ahead_ms = 0
    check()


def test_after_a_check_the_next_one_waits_for_ten_minutes(redis_url):
    check = Check(redis_url, 0)
    check()
    check.ahead_ms = 61 * MINUTE_MS
    check.seconds += 599
    check()
    check.seconds += 1
    with pytest.raises(ClockError):
        check()


def test_a_clock_behind_that_of_redis_is_taken_because_publish_times_would_tell(redis_url, caplog):
    Check(redis_url, -61 * MINUTE_MS)()
    (warning,) = caplog.messages
    assert warning.startswith("this machine's clock and Redis's are 6")


def test_the_clock_of_redis_is_not_believed_if_publish_times_show_that_it_is_wrong(redis_url, caplog):
    Check(redis_url, 61 * MINUTE_MS, system_clock_ms() + 60 * MINUTE_MS)()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_backlog_does_not_make_redis_wrong(redis_url):
    with pytest.raises(ClockError):
        Check(redis_url, 61 * MINUTE_MS, system_clock_ms() - 600 * MINUTE_MS)()


def test_a_redis_that_does_not_answer_is_left_to_the_writes(tmp_path, caplog):
    Check(f"unix://{tmp_path}/no.sock", 61 * MINUTE_MS)()
    (warning,) = caplog.messages
    assert warning.startswith("this machine's clock is not compared with Redis's: out of reach")
