"""Runs Google's Pub/Sub emulator for local runs and tests; `python -m local.pubsub_emulator` starts one.

The program is a jar from the Google Cloud CLI. It needs java, but no cloud account and no network.
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
from stores.terminal import printable_output

_HOST = "127.0.0.1"
_HOW_TO_GET_IT = (
    "install it with `gcloud components install pubsub-emulator` (Debian: the package"
    " google-cloud-cli-pubsub-emulator), or name the jar in $PUBSUB_EMULATOR_JAR"
)
_JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""With these options the emulator starts in two thirds of the time and uses less memory."""


class PubSubEmulatorError(RuntimeError):
    """The emulator or java is missing, or the emulator did not start. The message has the fix."""


class PubSubEmulator:
    """An emulator that runs during a `with` block, or from `start` to `close`. It stores no data on disk.

    Clients find it by the environment variable PUBSUB_EMULATOR_HOST, which the caller must set.

    Args:
      port: the port on 127.0.0.1; by default a free one.
      start_seconds: the timeout of the start.
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
        """The value for PUBSUB_EMULATOR_HOST, HOST:PORT."""
        return f"{_HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The emulator's process id; None if it does not run."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Starts the emulator, without topics, and waits until it answers. Does nothing if it runs already.

        Raises:
          PubSubEmulatorError: the emulator or java is missing, or the emulator ended or did not answer in time.
        """
        if self._child is not None and self._child.runs:
            return
        self.close()
        command = emulator_command(self._port)
        self._directory = tempfile.TemporaryDirectory(prefix="pubsub-")
        try:
            folder = Path(self._directory.name)
            self._child = Child(command, folder / "emulator.log", temporary=[folder])
            self._child.await_answer(lambda: answers(self.host), self._start_seconds)
        except ChildError as error:
            self.close()
            raise PubSubEmulatorError(f"the Pub/Sub emulator does not run: {error}") from error
        except BaseException:
            self.close()
            raise

    def wait(self) -> None:
        """Waits until the emulator has ended."""
        if self._child is not None:
            self._child.wait()

    def close(self) -> None:
        """Ends the emulator, which deletes its data, and removes its log. Does nothing if it does not run."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()
        if self._directory is not None:
            self._directory.cleanup()


def emulator_command(port: int) -> list[str]:
    """Returns the command that runs an emulator on a port of this machine.

    Raises:
      PubSubEmulatorError: the emulator or java is missing.
    """
    return [find_java(), *_JAVA_OPTIONS, "-jar", str(find_jar()), f"--host={_HOST}", f"--port={port}"]


def answers(host: str) -> bool:
    """Returns whether an emulator answers at HOST:PORT."""
    connection = http.client.HTTPConnection(host, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    return False


def find_jar() -> Path:
    """Returns the emulator's jar: $PUBSUB_EMULATOR_JAR, or by default the one that is installed with `gcloud`.

    Raises:
      PubSubEmulatorError: there is no jar.
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
    """Returns the java program: the one in $JAVA_HOME, or without that variable the one on the PATH.

    Raises:
      PubSubEmulatorError: there is no java.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        where = "in $JAVA_HOME" if home else "on the PATH"
        raise PubSubEmulatorError(f"the Pub/Sub emulator needs java, and there is none {where}")
    return java


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs an emulator until Ctrl-C or SIGTERM. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local.pubsub_emulator",
        description="Runs Google's Pub/Sub emulator on this machine.",
    )
    parser.add_argument("--port", type=int, default=8085, help="The port; 0 for any free port. Default: 8085")
    parser.add_argument("--find", action="store_true", help="Only print the paths of java and the jar.")
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
    """Returns a TCP port for a server; the system does not assign it to other programs for half a minute.

    This opens and closes a connection on the port. The system then assigns the port to no program that asks for any
    port, but a server can still listen on it.

    Args:
      port: the port to use; 0 for any.

    Raises:
      OSError: the port is in use.
    """
    with socket.create_server((_HOST, port)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            server.accept()[0].close()
            client.recv(
                1
            )  # wait for the end: the server's side closes first, so its port is the one in TIME_WAIT
    return int(address[1])


if __name__ == "__main__":
    sys.exit(main())
