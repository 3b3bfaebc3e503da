"""Programs under supervisord: started one by one, watched, and stopped in order, whatever happens."""

import contextlib
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from supervisor.xmlrpc import SupervisorTransport

from pipeline.watchdog import start_watchdog

_STOP_SECONDS = 30
"""How long a program may take to end when it is asked to, before it is killed."""
_EXPLAIN_SECONDS = 5
_SHORT_DIRECTORY = "/tmp"  # $TMPDIR may be too long for a socket's path
_ENDED = ("EXITED", "FATAL", "STOPPED")
_LAST_WORDS = 2000


class ProgramError(RuntimeError):
    """A program ended, or did not become ready; the message has what it last said."""


class Program(NamedTuple):
    """A program, as it is started."""

    name: str
    command: Sequence[str]
    may_end: bool = False
    """Whether it ends by itself, with status 0, without anything being wrong."""


class Programs:
    """Programs that live as long as a `with` block, in the order in which they are started; stopped in reverse.

    supervisord runs them, and ends with them when this process ends, however that ends. Each writes into a log of
    its own, `FOLDER/NAME.log`.

    Args:
      programs: in their order.
      folder: for logs; made if missing.
      environment: variables of all programs, beside those of this process.
    """

    def __init__(self, programs: Sequence[Program], folder: Path, environment: dict[str, str]) -> None:
        self._programs = {program.name: program for program in programs}
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._started: list[str] = []
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
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
        """Starts a program, and returns when it is ready.

        Raises:
          ProgramError: it, or another one, ended, or it did not become ready in time.
        """
        self.log(name).unlink(missing_ok=True)
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            raise ProgramError(f"{name} cannot be started: {fault.faultString}") from None
        self._started.append(name)
        deadline = time.monotonic() + ready_seconds
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProgramError(f"{name} is not ready after {ready_seconds:g} s: {self.last_words(name)}")
            time.sleep(0.05)
        self.check()

    def check(self) -> None:
        """Does nothing as long as every program that was started runs.

        Raises:
          ProgramError: one ended, or supervisord did.
        """
        for process in self._note_pids():
            name, state = process["name"], process["statename"]
            if name not in self._started or state not in _ENDED:
                continue
            if not (self._programs[name].may_end and process["exitstatus"] == 0):
                raise ProgramError(f"{name} ended: {self.last_words(name)}")

    def explain(self, error: Exception) -> NoReturn:
        """Raises why a program does not answer: most probably it has ended, and supervisord is about to learn of it.

        Raises:
          ProgramError: always.
        """
        deadline = time.monotonic() + _EXPLAIN_SECONDS
        while time.monotonic() < deadline:
            self.check()
            time.sleep(0.05)
        raise ProgramError(f"a program does not answer ({type(error).__name__}: {error})") from error

    def has_ended(self, name: str) -> bool:
        """Tells whether a program was started, and has ended."""
        return name in self._started and self._call("getProcessInfo", name)["statename"] in _ENDED

    def log(self, name: str) -> Path:
        """Returns the file into which a program writes."""
        return self._folder / f"{name}.log"

    def last_words(self, name: str) -> str:
        """Returns the end of a program's log, and where the whole of it is."""
        log = self.log(name)
        text = log.read_text(errors="replace")[-_LAST_WORDS:].strip() if log.exists() else ""
        return f"{text or 'it said nothing'} ({log})"

    def stop(self) -> None:
        """Ends every program, the last first, each when the one before it has ended; does nothing if none runs."""
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
        if self._process is not None:
            try:
                self._process.terminate()
                ended = self._process.wait((len(self._started) + 1) * _STOP_SECONDS) == 0
            except subprocess.TimeoutExpired:
                ended = False
            except BaseException:  # it was interrupted: no more patience
                self.kill()
                raise
            if not ended:
                self.kill()
        self._process = self._watchdog = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self) -> None:
        """Ends every program at once, whatever is under way, and supervisord, if it has not ended before them."""
        if self._process is None:
            return
        with contextlib.suppress(ProgramError):
            self._note_pids()
        self._process.kill()
        self._process.wait()
        for pid in self._pids.values():
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # each leads a group of its own

    def _launch(self) -> None:
        configuration = Path(self._directory) / "supervisord.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration"]
        with (self._folder / "supervisord.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(configuration)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C, and its end, are for this process, which stops them
            )
        self._watchdog = start_watchdog(self._process.pid, "TERM")
        deadline = time.monotonic() + _STOP_SECONDS
        while True:
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._call("getState")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ProgramError(f"supervisord did not start: {self.last_words('supervisord')}")
            time.sleep(0.05)

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

    def _note_pids(self) -> list[dict[str, Any]]:
        """Returns what supervisord says of its programs; keeps their pids, for when it can no longer be asked."""
        try:
            processes = list(self._call("getAllProcessInfo"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise ProgramError(f"supervisord ended ({type(error).__name__})") from None
        self._pids = {process["name"]: process["pid"] for process in processes}
        return processes
