"""Errors that are logged once a minute at most, because every bundle can meet them."""

import logging
import threading
import time
from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)
PAUSE_SECONDS = 60.0


class RareError:
    """An error that a process logs at most once in `PAUSE_SECONDS`, with how often it was met since the last time.

    Keep it in a module, because runners copy steps.

    Args:
      message: the text; its `%d` becomes the number.
      clock: returns seconds that only grow.
    """

    def __init__(self, message: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._message = message
        self._clock = clock
        self._lock = threading.Lock()
        self._unlogged = 0
        self._logged_at: float | None = None

    def met(self, number: int) -> None:
        """Counts how often it was met, and logs it if it was met and the pause is over."""
        with self._lock:
            self._unlogged += number
            now = self._clock()
            if not self._unlogged or (self._logged_at is not None and now < self._logged_at + PAUSE_SECONDS):
                return
            _LOGGER.error(self._message, self._unlogged)
            self._unlogged, self._logged_at = 0, now
