"""The clock for processing time. Steps get the time only from here, so that tests can replace it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the processing time in Unix milliseconds. It must be picklable."""


def system_clock_ms() -> int:
    """Returns this machine's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


MAX_CLOCK_ERROR_MS = 5 * 60 * 1000
"""A machine whose clock is further off than this must not decide or write."""


class ClockError(RuntimeError):
    """This machine's clock is wrong by more than `MAX_CLOCK_ERROR_MS`. The message says by how much."""


def require_not_behind(now_ms: int, published_ms: int) -> None:
    """Compares this machine's clock with the time at which Pub/Sub received a message, which cannot be in the future.

    A clock that is ahead cannot be found in this way, because messages of a backlog are old.

    Raises:
      ClockError: the clock is too far behind.
    """
    behind_ms = published_ms - now_ms
    if behind_ms > MAX_CLOCK_ERROR_MS:
        raise ClockError(
            f"this machine's clock is at least {behind_ms // 60_000:,} minutes behind Pub/Sub's, by the publish time of"
            " a message: set the clock, because timers and the versions of profiles follow it"
        )


def require_not_ahead(ahead_ms: int, newest_published_ms: int | None, now_ms: int) -> None:
    """Judges a clock by how far it is ahead of Redis's.

    A clock that is behind Redis's is accepted, because publish times show whether it is wrong. So is one that is ahead,
    if publish times show that Redis's clock is wrong.

    Args:
      ahead_ms: how far this machine's clock is ahead of Redis's.
      newest_published_ms: the newest publish time that this process knows; None if it knows none.
      now_ms: this machine's time in Unix milliseconds.

    Raises:
      ClockError: the clock is too far ahead.
    """
    if ahead_ms <= MAX_CLOCK_ERROR_MS:
        return
    redis_ms = now_ms - ahead_ms
    if newest_published_ms is not None and newest_published_ms > redis_ms + MAX_CLOCK_ERROR_MS:
        return
    raise ClockError(
        f"this machine's clock is at least {ahead_ms // 60_000:,} minutes ahead of Redis's: set the one that is"
        " wrong, because a version from the future would keep later jobs from writing their profiles"
    )
