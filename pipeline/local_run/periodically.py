"""Calls a function at regular pauses, in a thread."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Periodically:
    """Calls an action at regular pauses in its own thread, until a `with` block ends.

    The first call comes after the first pause. The next pause begins when a call returns. The end of the block
    waits for a running call.

    Args:
      seconds: the length of a pause.
      action: the function to call. An exception from it ends the thread.
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
        """Ends the pause, so that the action is called at once."""
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._seconds)
            self._wake.clear()
            if self._ended:
                return
            self._action()
