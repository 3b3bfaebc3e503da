"""The clock for processing time. Steps get the time only from here, so that tests can replace it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the processing time in Unix milliseconds. It must be picklable."""


def system_clock_ms() -> int:
    """Returns this machine's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
