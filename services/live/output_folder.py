"""The folder of the live system's results and logs, which one live system has for itself."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from local.samples import displayed_path

HISTORY = "history.jsonl"
DEAD_LETTERS = "dead-letters.jsonl"
STATUS = "status.json"


class FolderError(Exception):
    """The folder cannot be used. The message names it."""


class OutputFolder:
    """Locks a folder for a `with` block. The lock ends with this process, even if it is killed.

    Args:
      path: the folder, which is created if needed.
      logs: the names of the logs, without `.log`.

    Raises:
      FolderError: another live system has the lock, or the folder cannot be written.
    """

    def __init__(self, path: Path, logs: list[str]) -> None:
        self.path = path
        self._results = [HISTORY, DEAD_LETTERS, STATUS, *(f"{name}.log" for name in logs)]

    def __enter__(self) -> Self:
        shown = displayed_path(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise FolderError(f"the folder {shown} cannot be used ({error.strerror})") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if isinstance(error, BlockingIOError):
                raise FolderError(f"the folder {shown} is in use by another live system") from None
            raise FolderError(f"the folder {shown} cannot be locked ({error.strerror})") from None
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def clear(self) -> None:
        """Deletes what an earlier live system wrote to the folder, and nothing else."""
        for name in self._results:
            (self.path / name).unlink(missing_ok=True)
