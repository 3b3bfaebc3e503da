"""A program of this machine as a child: out of the terminal's reach, watched while it starts, never left behind."""

import atexit
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from local.watchdog import start_watchdog

_POLL_SECONDS = 0.02
_STOP_SECONDS = 10
_LAST_WORDS = 2000


class ChildError(RuntimeError):
    """A program cannot be run, ended while it started, or did not answer in time; the message has its last words."""


class Child:
    """A running program; it ends with this process, however that ends.

    It runs in a session of its own: the terminal's Ctrl-C is for this process, which may still need the program.

    Args:
      command: the program and its arguments.
      log: what it writes goes into this file, which is replaced.
      stdin: what it reads; secrets among it are seen by no other process.
      environment: its variables; by default those of this process.
      at_end: the signal by which it ends when this process has ended without ending it.

    Raises:
      ChildError: the program cannot be run.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        at_end: Literal["KILL", "TERM"] = "KILL",
    ) -> None:
        self._name = os.path.basename(command[0])
        self._log = log
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    env=None if environment is None else dict(environment),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise ChildError(f"cannot run {command[0]}: {error.strerror}") from error
        atexit.register(self.stop)
        try:
            self._watchdog = start_watchdog(self._process.pid, at_end)
        except BaseException:
            self._process.kill()
            raise
        assert self._process.stdin is not None
        with (
            contextlib.suppress(BrokenPipeError),
            self._process.stdin as pipe,
        ):  # it has ended: seen by its callers
            pipe.write(stdin)

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the program has not ended."""
        return self._process.poll() is None

    def await_answer(self, answers: Callable[[], bool], seconds: float) -> None:
        """Returns when the program answers.

        Raises:
          ChildError: it ended, or did not answer within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while not answers():
            if not self.runs:
                raise ChildError(f"{self._name} ended at once: {self.last_words()}")
            if time.monotonic() > deadline:
                raise ChildError(f"{self._name} did not answer in {seconds:g} s: {self.last_words()}")
            time.sleep(_POLL_SECONDS)

    def wait(self, seconds: float | None = None) -> int:
        """Returns the program's exit status when it has ended.

        Raises:
          subprocess.TimeoutExpired: it runs after so many seconds.
        """
        return self._process.wait(seconds)

    def stop(self, seconds: float | None = None) -> bool:
        """Ends the program; returns whether it ended by itself, with status 0.

        Args:
          seconds: how long it may take before it is killed; by default 10.
        """
        self._end_watchdog()
        self._process.terminate()
        try:
            return self._process.wait(_STOP_SECONDS if seconds is None else seconds) == 0
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def kill(self) -> None:
        """Ends the program at once."""
        self._end_watchdog()
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Returns the end of what the program has written."""
        return self._log.read_text(errors="replace")[-_LAST_WORDS:].strip() or "it wrote no log"

    def _end_watchdog(self) -> None:
        """Ends the watchdog, which comes before waiting for the program: its process id may then be another's."""
        atexit.unregister(self.stop)
        if self._watchdog.poll() is None:
            self._watchdog.kill()
        self._watchdog.communicate()
