"""Does something every so many seconds, beside the program."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Periodically:
    """Calls an action in a thread of its own, every so many seconds, for as long as a `with` block.

    The first call comes after the first pause; the next pause begins when a call returns. When the block
    ends, a call under way is waited for.

    Args:
      seconds: how long a pause is.
      action: what is called; what it raises ends the thread.
    """

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._action = action
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"every {seconds:g} s", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join()

    def now(self) -> None:
        """Ends the pause: the action is called at once."""
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._seconds)
            self._wake.clear()
            if self._ended:
                return
            self._action()
