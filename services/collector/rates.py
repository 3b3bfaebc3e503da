"""How many events per second a source may send."""

import math
from collections.abc import Callable


class TokenBucket:
    """Lets events through at a rate, with a second's worth at once.

    A batch is taken whole while anything is left, and its surplus is owed, so that no batch is too large for ever.

    Args:
      per_second: the rate.
      clock: seconds, only going forward.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = max(per_second, 1.0)
        self._clock = clock
        self._tokens = self._burst
        self._counted_at = clock()

    def take(self, events: int) -> int:
        """Takes events and returns 0; or takes none, and returns after how many whole seconds to try again."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        missing = 1.0 - self._tokens
        if missing > 0:
            return math.ceil(missing / self._per_second)
        self._tokens -= events
        return 0
