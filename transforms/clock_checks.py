"""Refuses to work on a machine whose clock is wrong, because timers and the versions of profiles follow it.

Publish times bound the clock from below: no message comes from the future. They do not bound it from above, because a
backlog's messages are old. For that the clock is compared with Redis's.
"""

import functools
import logging
import time
from collections.abc import Callable

from redis.exceptions import RedisClusterException, RedisError

from stores.clock import MAX_CLOCK_ERROR_MS, Clock, require_not_ahead, require_not_behind, system_clock_ms
from stores.redis.access import RedisTarget, access_to
from stores.redis.client import fault
from stores.redis.server_clock import clock_ahead_ms
from stores.secrets import SecretError

_LOGGER = logging.getLogger(__name__)
PAUSE_SECONDS = 600.0
_newest_published_ms: int | None = None  # of this process: Beam copies steps


def check_publish_time(now_ms: int, published_ms: int | None) -> None:
    """Compares the clock with a message's publish time, if it has one, and remembers the newest one of the process.

    Raises:
      ClockError: the clock is too far behind.
    """
    global _newest_published_ms
    if published_ms is None:
        return
    if _newest_published_ms is None or published_ms > _newest_published_ms:
        _newest_published_ms = published_ms
    require_not_behind(now_ms, published_ms)


def newest_published_ms() -> int | None:
    """Returns the newest publish time of this process; None if there is none."""
    return _newest_published_ms


class RedisClockCheck:
    """Compares the clock with Redis's, once in `PAUSE_SECONDS` unless it is refused.

    If Redis cannot be asked, a warning says so and the check is skipped, because the writes need no right to `TIME`.

    Args:
      target: the address of Redis.
      clock: returns this machine's time.
      newest_published: returns the newest publish time of the process.
      monotonic: returns seconds that only grow.
    """

    def __init__(
        self,
        target: RedisTarget,
        clock: Clock = system_clock_ms,
        newest_published: Callable[[], int | None] = newest_published_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._clock = clock
        self._newest_published = newest_published
        self._monotonic = monotonic
        self._next = float("-inf")

    def check(self) -> None:
        """Compares the clocks if the pause is over.

        Raises:
          ClockError: this machine's clock is too far ahead.
        """
        if self._monotonic() < self._next:
            return
        try:
            ahead_ms = clock_ahead_ms(access_to(self._target), self._clock)
        except (RedisError, RedisClusterException, OSError, SecretError) as error:
            reason = error if isinstance(error, SecretError) else fault(error)
            _LOGGER.warning("this machine's clock is not compared with Redis's: %s", reason)
            ahead_ms = 0
        require_not_ahead(ahead_ms, self._newest_published(), self._clock())
        if abs(ahead_ms) > MAX_CLOCK_ERROR_MS:
            minutes = abs(ahead_ms) // 60_000
            _LOGGER.warning(
                "this machine's clock and Redis's are %d minutes apart; Redis's seems wrong", minutes
            )
        self._next = self._monotonic() + PAUSE_SECONDS


@functools.cache
def redis_clock_check(target: RedisTarget) -> RedisClockCheck:
    """Returns the process's one check of a target."""
    return RedisClockCheck(target)
