"""Google's Pub/Sub emulator for local runs and tests: `python -m local.pubsub_emulator` starts one.

The program is a jar that the Google Cloud CLI brings along; it needs java, and nothing of the cloud.
"""

import argparse
import contextlib
import http.client
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from local.process import Child, ChildError

_HOST = "127.0.0.1"
_HOW_TO_GET_IT = (
    "install it with `gcloud components install pubsub-emulator` (Debian: the package"
    " google-cloud-cli-pubsub-emulator), or name the jar in $PUBSUB_EMULATOR_JAR"
)
_JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""It starts in two thirds of the time, and leaves more of a small machine to the others."""


class PubSubEmulatorError(RuntimeError):
    """The emulator, or java, is missing, or it did not start; the message says what to do."""


class PubSubEmulator:
    """An emulator that lives as long as a `with` block, or from `start` to `close`; it keeps nothing on disk.

    Clients find it by the environment variable PUBSUB_EMULATOR_HOST, which is left to the caller.

    Args:
      port: on which it listens, on this machine only; by default a free one.
      start_seconds: how long starting may take at most.
    """

    def __init__(self, port: int | None = None, *, start_seconds: float = 60) -> None:
        self._port = port or free_port()
        self._start_seconds = start_seconds
        self._child: Child | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The value for PUBSUB_EMULATOR_HOST."""
        return f"{_HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The emulator's process, while there is one."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Starts the emulator, without topics, and returns when it answers; does nothing if it runs.

        Raises:
          PubSubEmulatorError: it is missing, it ended, or it did not answer in time.
        """
        if self._child is not None and self._child.runs:
            return
        self.close()
        command = emulator_command(self._port)
        self._directory = tempfile.TemporaryDirectory(prefix="pubsub-")
        try:
            self._child = Child(command, Path(self._directory.name) / "emulator.log")
            self._child.await_answer(lambda: answers(self.host), self._start_seconds)
        except ChildError as error:
            self.close()
            raise PubSubEmulatorError(f"the Pub/Sub emulator does not run: {error}") from error
        except BaseException:
            self.close()
            raise

    def wait(self) -> None:
        """Returns when the emulator has ended."""
        if self._child is not None:
            self._child.wait()

    def close(self) -> None:
        """Ends the emulator and what it holds, and removes its log; does nothing if none runs."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()
        if self._directory is not None:
            self._directory.cleanup()


def emulator_command(port: int) -> list[str]:
    """Returns the command that runs an emulator on a port of this machine.

    Raises:
      PubSubEmulatorError: it, or java, is missing.
    """
    return [find_java(), *_JAVA_OPTIONS, "-jar", str(find_jar()), f"--host={_HOST}", f"--port={port}"]


def answers(host: str) -> bool:
    """Tells whether an emulator answers at a value of PUBSUB_EMULATOR_HOST."""
    connection = http.client.HTTPConnection(host, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    return False


def find_jar() -> Path:
    """Returns the emulator's jar: the one that $PUBSUB_EMULATOR_JAR names, else the one beside `gcloud`.

    Raises:
      PubSubEmulatorError: there is none.
    """
    named = os.environ.get("PUBSUB_EMULATOR_JAR")
    if named:
        if not Path(named).is_file():
            raise PubSubEmulatorError(f"no Pub/Sub emulator: $PUBSUB_EMULATOR_JAR names no file: {named}")
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise PubSubEmulatorError(f"no Pub/Sub emulator: gcloud is not on the PATH; {_HOW_TO_GET_IT}")
    folder = Path(gcloud).resolve().parents[1] / "platform" / "pubsub-emulator" / "lib"
    jars = sorted(folder.glob("*pubsub-emulator*.jar"))
    if not jars:
        raise PubSubEmulatorError(f"no Pub/Sub emulator in {folder}; {_HOW_TO_GET_IT}")
    return jars[-1]


def find_java() -> str:
    """Returns the java program: the one in $JAVA_HOME, else the one on the PATH.

    Raises:
      PubSubEmulatorError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        where = "in $JAVA_HOME" if home else "on the PATH"
        raise PubSubEmulatorError(f"the Pub/Sub emulator needs java, and there is none {where}")
    return java


def main(argv: Sequence[str] | None = None) -> int:
    """Runs an emulator until Ctrl-C or SIGTERM; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local.pubsub_emulator",
        description="Runs Google's Pub/Sub emulator on this machine.",
    )
    parser.add_argument("--port", type=int, default=8085, help="On which it listens; 0 is any. Default: 8085")
    parser.add_argument(
        "--find", action="store_true", help="Only say which java and which jar would be used."
    )
    options = parser.parse_args(argv)
    try:
        if options.find:
            print(find_java(), find_jar())
            return 0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt), PubSubEmulator(options.port) as emulator:
            print(f"PUBSUB_EMULATOR_HOST={emulator.host}", flush=True)
            emulator.wait()
    except PubSubEmulatorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def free_port(port: int = 0) -> int:
    """Returns a TCP port of this machine for a server to listen on; for half a minute the system gives it nobody else.

    A connection that has just ended keeps its port from programs that ask for any port, and from no server.

    Args:
      port: that one; by default any.

    Raises:
      OSError: it is taken.
    """
    with socket.create_server((_HOST, port)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            server.accept()[0].close()
            client.recv(1)  # its end: the server's side was closed first, and is the one that lingers
    return int(address[1])


if __name__ == "__main__":
    sys.exit(main())
