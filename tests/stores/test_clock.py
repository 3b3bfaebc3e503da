"""How wrong a clock may be, to the millisecond, and how it is compared with that of Redis."""

import pytest

from stores.clock import ClockError, require_not_ahead, require_not_behind
from stores.redis.access import RedisAccess
from stores.redis.server_clock import clock_ahead_ms

NOW_MS = 1_800_000_000_000
FIVE_MINUTES_MS = 300_000


def test_a_clock_may_be_five_minutes_behind_a_publish_time():
    require_not_behind(NOW_MS, NOW_MS + FIVE_MINUTES_MS)
    with pytest.raises(ClockError, match="at least 5 minutes behind"):
        require_not_behind(NOW_MS, NOW_MS + FIVE_MINUTES_MS + 1)


def test_a_clock_may_be_five_minutes_ahead_of_redis():
    require_not_ahead(FIVE_MINUTES_MS, None, NOW_MS)
    with pytest.raises(ClockError, match="at least 5 minutes ahead"):
        require_not_ahead(FIVE_MINUTES_MS + 1, None, NOW_MS)


def test_redis_is_wrong_only_if_a_publish_time_is_more_than_five_minutes_after_it():
    ahead_ms = FIVE_MINUTES_MS + 1
    newest_believed_ms = NOW_MS - ahead_ms + FIVE_MINUTES_MS
    require_not_ahead(ahead_ms, newest_believed_ms + 1, NOW_MS)
    with pytest.raises(ClockError):
        require_not_ahead(ahead_ms, newest_believed_ms, NOW_MS)


class Access(RedisAccess):
    """A Redis whose clock says what a test wants it to."""

    def __init__(self, answer):
        self.answer = answer

    def client(self):
        return self

    def time(self):
        return self.answer


@pytest.mark.parametrize(
    "seconds, microseconds, ahead_ms",
    [(99, 999_000, 1), (100, 0, 0), (100, 5_000, 0), (100, 20_000, 0), (100, 21_000, -1), (90, 0, 10_000)],
)
def test_a_clock_agrees_with_redis_while_its_answer_lies_in_the_round_trip(seconds, microseconds, ahead_ms):
    clock = iter([100_000, 100_020])
    assert clock_ahead_ms(Access((seconds, microseconds)), clock.__next__) == ahead_ms


def test_of_several_nodes_the_one_that_agrees_best_counts():
    clock = iter([100_000, 100_020])
    answer = {"one": (90, 0), "two": (101, 0), "three": (200, 0)}
    assert clock_ahead_ms(Access(answer), clock.__next__) == -980
