"""Runs a program as a child process that Ctrl-C does not reach and that always ends with this process."""

import atexit
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from local.watchdog import start_watchdog
from stores.private_files import PRIVATE_UMASK, open_private

_POLL_SECONDS = 0.02
_STOP_SECONDS = 10
_LOG_TAIL_CHARACTERS = 2000


class ChildError(RuntimeError):
    """A program cannot be run, ended while it started, or did not answer in time. The message ends with its log."""


class Child:
    """A running program. It ends with this process, even if this process is killed.

    Only this user can read the files that it makes, and its log.

    It runs in its own session, so the terminal's Ctrl-C reaches only this process, which can still need the program.

    Args:
      command: the program and its arguments.
      log: the file for the program's output; an existing file is replaced.
      stdin: the program's input. Other processes cannot read it, so it can contain secrets.
      environment: the program's environment variables; by default those of this process.
      folder: the program's working directory; by default that of this process.
      at_end: the signal that ends the program if this process ends without stopping it.
      temporary: folders that are removed if this process ends without stopping the program.

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
        folder: Path | None = None,
        at_end: Literal["KILL", "TERM"] = "KILL",
        temporary: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        self._name = os.path.basename(command[0])
        self._log = log
        try:
            with open(open_private(log, os.O_WRONLY | os.O_TRUNC), "wb") as output:
                self._process = subprocess.Popen(
                    command,
                    env=None if environment is None else dict(environment),
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=PRIVATE_UMASK,
                )
        except OSError as error:
            raise ChildError(f"cannot run {command[0]}: {error.strerror}") from error
        atexit.register(self.stop)
        try:
            self._watchdog = start_watchdog(self._process.pid, at_end, temporary)
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
        """The program's process id."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the program is running."""
        return self._process.poll() is None

    def await_answer(self, answers: Callable[[], bool], seconds: float) -> None:
        """Waits until the program answers.

        Args:
          answers: returns whether the program answers now.
          seconds: the timeout.

        Raises:
          ChildError: the program ended, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while not answers():
            if not self.runs:
                raise ChildError(f"{self._name} ended at once: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise ChildError(f"{self._name} did not answer in {seconds:g} s: {self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def wait(self, seconds: float | None = None) -> int:
        """Waits until the program has ended; returns its exit status.

        Args:
          seconds: the timeout; None for no timeout.

        Raises:
          subprocess.TimeoutExpired: the program has not ended in time.
        """
        return self._process.wait(seconds)

    def terminate(self) -> None:
        """Sends SIGTERM to the program, and does not wait."""
        self._process.terminate()

    def stop(self, seconds: float | None = None) -> bool:
        """Sends SIGTERM to the program and waits; returns whether it ended with status 0 and was not killed.

        If the wait is interrupted, the program still ends with this process.

        Args:
          seconds: the time before the program is killed; by default 10.
        """
        self._process.terminate()
        try:
            status = self._process.wait(_STOP_SECONDS if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._end_watchdog()
        return status == 0

    def kill(self) -> None:
        """Kills the program and waits for its end."""
        self._process.kill()
        self._process.wait()
        self._end_watchdog()

    def log_tail(self) -> str:
        """Returns the last 2000 characters of the program's log."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:].strip() or "it wrote no log"

    def _end_watchdog(self) -> None:
        """Ends the watchdog as soon as the program has been waited for: its process id can now be another's.

        Not earlier: if this process is interrupted while it waits, the watchdog is what ends the program.
        """
        if self._watchdog.poll() is None:
            self._watchdog.kill()
        self._watchdog.communicate()
        atexit.unregister(self.stop)
