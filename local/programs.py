"""Runs programs under supervisord: starts them one by one, checks them, and always stops them in order."""

import contextlib
import http.client
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from supervisor.xmlrpc import Faults, SupervisorTransport

from local.process import Child, ChildError
from stores.private_files import make_private_folder

_STOP_SECONDS = 30
"""The time between SIGTERM and SIGKILL when a program is stopped."""
_EXPLAIN_SECONDS = 5
_SHORT_DIRECTORY = "/tmp"  # $TMPDIR can be too long for a socket's path
_ENDED = ("EXITED", "FATAL", "STOPPED")
_POLL_SECONDS = 0.05
_KILL_SECONDS = 5
"""The time between SIGKILL and the end of all programs."""
_LOG_TAIL_CHARACTERS = 2000


class ProgramError(RuntimeError):
    """A program ended, or did not become ready. The message has the end of its log."""


class Program(NamedTuple):
    """A program to run."""

    name: str
    command: Sequence[str]
    may_end: bool = False
    """Whether an end with status 0 is no error."""


class Programs:
    """Programs that run during a `with` block; they are stopped in reverse order.

    supervisord runs them. It ends with its programs when this process ends, even if this process is killed. The log
    of each program is `FOLDER/NAME.log`.

    Args:
      programs: the programs, in the order of their start.
      folder: the folder for logs, which is created if needed.
      environment: environment variables of all programs, in addition to those of this process.
    """

    def __init__(self, programs: Sequence[Program], folder: Path, environment: dict[str, str]) -> None:
        self._programs = {program.name: program for program in programs}
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._supervisord: Child | None = None
        self._started: list[str] = []
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        make_private_folder(self._folder)
        self._directory = tempfile.mkdtemp(prefix="live-", dir=_SHORT_DIRECTORY)
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str, is_ready: Callable[[], bool], ready_seconds: float = 120) -> None:
        """Starts a program and waits until it is ready.

        Args:
          name: the program's name.
          is_ready: returns whether the program is ready now.
          ready_seconds: the timeout.

        Raises:
          ProgramError: this or another program ended, or this program did not become ready in time.
        """
        self.log(name).unlink(missing_ok=True)
        try:
            self._request("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            # A program that ended badly before supervisord looked at it was started, and has a log.
            if fault.faultCode == Faults.SPAWN_ERROR and self._state(name) in _ENDED:
                raise ProgramError(f"{name} ended: {self.log_tail(name)}") from None
            raise ProgramError(f"{name} cannot be started: {fault.faultString}") from None
        self._started.append(name)
        self._note_pids()
        deadline = time.monotonic() + ready_seconds
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProgramError(f"{name} is not ready after {ready_seconds:g} s: {self.log_tail(name)}")
            time.sleep(_POLL_SECONDS)
        self.check()

    def check(self) -> None:
        """Checks that every started program runs.

        Raises:
          ProgramError: a program or supervisord ended.
        """
        for process in self._note_pids():
            name, state = process["name"], process["statename"]
            if name not in self._started or state not in _ENDED:
                continue
            if not (self._programs[name].may_end and process["exitstatus"] == 0):
                raise ProgramError(f"{name} ended: {self.log_tail(name)}")

    def explain(self, error: Exception) -> NoReturn:
        """Raises the reason why a program does not answer.

        The program has probably ended, and supervisord notices it within a few seconds.

        Raises:
          ProgramError: always.
        """
        deadline = time.monotonic() + _EXPLAIN_SECONDS
        while time.monotonic() < deadline:
            self.check()
            time.sleep(_POLL_SECONDS)
        raise ProgramError(f"a program does not answer ({type(error).__name__}: {error})") from error

    def has_ended(self, name: str) -> bool:
        """Returns whether a program was started and has ended.

        Raises:
          ProgramError: supervisord ended.
        """
        return name in self._started and self._state(name) in _ENDED

    def log(self, name: str) -> Path:
        """Returns the path of a program's log."""
        return self._folder / f"{name}.log"

    def log_tail(self, name: str) -> str:
        """Returns the last 2000 characters of a program's log, and the log's path."""
        log = self.log(name)
        text = log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:].strip() if log.exists() else ""
        return f"{text or 'its log is empty'} ({log})"

    def end(self, name: str, is_urgent: Callable[[], bool] = lambda: False) -> None:
        """Stops one program, and returns when it has ended. Does nothing if it does not run.

        Args:
          name: the program's name.
          is_urgent: returns whether to wait no longer; then all programs are killed.

        Raises:
          ProgramError: supervisord ended.
        """
        if self._supervisord is None or name not in self._started:
            return
        with contextlib.suppress(xmlrpc.client.Fault):  # it has ended
            self._request("stopProcess", name, False)
        while not self.has_ended(name):
            if is_urgent():
                self.kill()
                return
            time.sleep(_POLL_SECONDS)
        self._pids[name] = 0

    def stop(self, is_urgent: Callable[[], bool] = lambda: False) -> None:
        """Stops the programs one after the other, in reverse order. Does nothing if none runs.

        Args:
          is_urgent: returns whether to wait no longer; then all programs are killed.

        Raises:
          ProgramError: a program is left, although it was killed.
        """
        try:
            with contextlib.suppress(ProgramError):  # supervisord stops them, or has ended
                for name in reversed(self._started):
                    self.end(name, is_urgent)
            self._stop_supervisord(is_urgent)
        except BaseException:  # interrupted, for example by Ctrl-C: do not wait any longer
            self.kill()
            raise
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        if left := [name for name, pid in self._pids.items() if _runs(pid)]:
            raise ProgramError(f"killed, but not ended yet: {', '.join(left)}")

    def _stop_supervisord(self, is_urgent: Callable[[], bool]) -> None:
        """Stops supervisord, which stops what still runs; kills what is left."""
        if self._supervisord is None:
            return
        self._supervisord.terminate()
        deadline = time.monotonic() + (len(self._started) + 1) * _STOP_SECONDS
        while self._supervisord.runs and not is_urgent() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kills all programs and supervisord at once, and waits at most 5 s for their end."""
        if self._supervisord is None:
            return
        with contextlib.suppress(ProgramError):
            self._note_pids()
        for pid in filter(None, self._pids.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # each program leads its own process group
        deadline = time.monotonic() + _KILL_SECONDS
        while any(map(_runs, self._pids.values())) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)  # supervisord waits for them, so it is killed last
        self._supervisord.kill()
        self._supervisord = None

    def _launch(self) -> None:
        configuration = Path(self._directory) / "supervisord.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration"]
        try:
            self._supervisord = Child(
                [*command, str(configuration)],
                self.log("supervisord"),
                environment=self._environment,
                at_end="TERM",
                temporary=[self._directory],
            )
            self._supervisord.await_answer(self._supervisord_answers, _STOP_SECONDS)
        except ChildError as error:
            raise ProgramError(f"supervisord did not start: {error}") from None

    def _supervisord_answers(self) -> bool:
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._call("getState")
            return True
        return False

    def _configuration(self) -> str:
        sections = [
            "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
            f"pidfile={self._directory}/supervisord.pid\n",
            f"[unix_http_server]\nfile={self._socket}\nchmod=0700\n",
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        ]
        for priority, program in enumerate(self._programs.values(), 1):
            settings = {
                "command": shlex.join(program.command),
                "priority": priority,
                "autostart": "false",
                "autorestart": "false",
                "startsecs": 0,
                "stopwaitsecs": _STOP_SECONDS,
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": self.log(program.name).absolute(),
                "stdout_logfile_maxbytes": 0,
            }
            lines = "".join(f"{key}={str(value).replace('%', '%%')}\n" for key, value in settings.items())
            sections.append(f"[program:{program.name}]\n{lines}")
        return "\n".join(sections)

    @property
    def _socket(self) -> Path:
        return Path(self._directory) / "supervisord.sock"

    def _call(self, method: str, *arguments: Any) -> Any:
        """Calls supervisord's API."""
        with contextlib.closing(SupervisorTransport(serverurl=f"unix://{self._socket}")) as transport:
            supervisor = xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor
            return getattr(supervisor, method)(*arguments)

    def _request(self, method: str, *arguments: Any) -> Any:
        """Calls the API of a supervisord that ran before.

        Raises:
          ProgramError: supervisord ended, or is ending.
          xmlrpc.client.Fault: supervisord refuses the call.
        """
        try:
            return self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == Faults.SHUTDOWN_STATE:
                raise ProgramError("supervisord is ending") from None
            raise
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise ProgramError(f"supervisord ended ({type(error).__name__})") from None

    def _state(self, name: str) -> str:
        return str(self._request("getProcessInfo", name)["statename"])

    def _note_pids(self) -> list[dict[str, Any]]:
        """Returns supervisord's state of the programs; keeps their process ids for `kill`."""
        processes = list(self._request("getAllProcessInfo"))
        self._pids = {process["name"]: process["pid"] for process in processes}
        return processes


def _runs(process_group: int) -> bool:
    """Returns whether a process group has a process; 0 is none."""
    if not process_group:
        return False
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: it has ended, and nobody has waited for it
        return False
    return True
