"""Limits the events per second of a source."""

import math
from collections.abc import Callable


class TokenBucket:
    """A token bucket that holds the events of one second, at least one.

    A batch is accepted whole while the bucket has a token. A large batch makes the bucket negative, so that no batch is
    too large to be accepted ever.

    Args:
      per_second: the rate in events per second.
      clock: returns monotonic seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._capacity = max(per_second, 1.0)
        self._clock = clock
        self._tokens = self._capacity
        self._refilled_at = clock()

    def take(self, events: int) -> int:
        """Accepts events and returns 0; or accepts none, and returns the whole seconds to wait before a retry."""
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._refilled_at) * self._per_second)
        self._refilled_at = now
        missing = 1.0 - self._tokens
        if missing > 0:
            return math.ceil(missing / self._per_second)
        self._tokens -= events
        return 0
