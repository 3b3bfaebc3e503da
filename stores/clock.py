"""The processing clock: the only place where steps ask for the time, so that tests can give another."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the processing time in milliseconds since the epoch; must be picklable."""


def system_clock_ms() -> int:
    """Returns the machine's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
