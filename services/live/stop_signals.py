"""Notes the signals that end the live system, and interrupts nothing."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_WISH_SECONDS = 1.0
"""Signals within this time are one wish: `make` passes on SIGTERM, and a terminal that ends sends several SIGHUP."""


class Stop(Exception):
    """Ctrl-C was pressed, the terminal was closed, SIGTERM was received, or the output was closed."""


class StopSignals:
    """Notes SIGINT, SIGTERM and SIGHUP during a `with` block.

    A handler that raises could interrupt the code that stops the programs. These handlers only take a note, which the
    code looks at where it can stop.

    A terminal that is gone counts too, because not every process gets SIGHUP: `make` gets it, waits for its child, and
    passes nothing on. So does the end of `make` itself.

    Args:
      is_under_make: whether the process that started this one is `make`, and nothing but a way to start it.
      clock: returns seconds.
    """

    def __init__(self, is_under_make: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_under_make = is_under_make
        self._clock = clock
        self._parent = os.getppid()
        self._terminals = [descriptor for descriptor in range(3) if os.isatty(descriptor)]
        self._first_seconds: float | None = None
        self._is_urgent = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Returns if nothing asks for the end.

        Raises:
          Stop: a signal was received, the terminal is gone, or `make` is.
        """
        is_terminal_gone = not all(map(os.isatty, self._terminals))  # false for a terminal after a hangup
        is_make_gone = self._is_under_make and os.getppid() != self._parent
        if self._first_seconds is not None or is_terminal_gone or is_make_gone:
            raise Stop

    def is_urgent(self) -> bool:
        """Returns whether SIGINT or SIGTERM was received more than a second after the first signal."""
        return self._is_urgent

    def _note(self, number: int, frame: FrameType | None) -> None:
        now_seconds = self._clock()
        if self._first_seconds is None:
            self._first_seconds = now_seconds
        elif number != signal.SIGHUP and now_seconds - self._first_seconds > _ONE_WISH_SECONDS:
            self._is_urgent = True
