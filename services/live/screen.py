"""Writes lines to the terminal in a thread, so that a terminal that takes no more holds nothing up."""

import os
import queue
import threading
from types import TracebackType
from typing import Self

from segmentation.printable import printable_lines

_END_SECONDS = 2
_MAX_WAITING_TEXTS = 1000


class Screen:
    """Writes texts to a file descriptor during a `with` block, which ends when all are written, or after 2 s.

    When a write fails, because the terminal or the reader of a pipe is gone, this and all later texts are dropped.

    Args:
      descriptor: the file descriptor.
      encoding: the terminal's encoding; characters that it lacks are written as escapes.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._texts: queue.Queue[str | None] = queue.Queue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._texts.put(None)
        self._thread.join(_END_SECONDS)

    @property
    def is_closed(self) -> bool:
        """Whether a write has failed."""
        return self._is_closed

    @property
    def is_full(self) -> bool:
        """Whether so many texts wait that none should be added which can wait elsewhere."""
        return self._texts.qsize() > _MAX_WAITING_TEXTS

    def show(self, text: str) -> None:
        """Writes a text and a line end soon, as `printable_lines` shows it; never waits."""
        self._texts.put(text)

    def _run(self) -> None:
        while (text := self._texts.get()) is not None:
            if not self._is_closed:
                self._write(text)

    def _write(self, text: str) -> None:
        left = f"{printable_lines(text)}\n".encode(self._encoding, "backslashreplace")
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            self._is_closed = True
