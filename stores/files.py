"""Reads files and folders: on this machine, or remote ones through a reader that is handed in."""

from pathlib import Path
from typing import Protocol

CLOUD = "gs://"


class RemoteFiles(Protocol):
    """Reads addresses that begin with gs://. Only a job has such a reader: it comes with Beam."""

    def read(self, address: str) -> bytes:
        """Returns what a file holds.

        Raises:
          OSError: it cannot be read.
        """

    def match(self, pattern: str) -> list[str]:
        """Returns the addresses of the files that match a pattern, in no order.

        Raises:
          OSError: they cannot be listed.
        """


class NoRemoteFiles:
    """Refuses every address: for programs that read files of their own machine only."""

    def read(self, address: str) -> bytes:
        raise OSError(f"{CLOUD} is not read here: give a local path")

    def match(self, pattern: str) -> list[str]:
        raise OSError(f"{CLOUD} is not read here: give a local path")


LOCAL_ONLY = NoRemoteFiles()


def read_file(path: str, remote: RemoteFiles = LOCAL_ONLY) -> bytes:
    """Returns what a file holds.

    Raises:
      OSError: it cannot be read.
    """
    return remote.read(path) if path.startswith(CLOUD) else Path(path).read_bytes()


def list_folder(folder: str, remote: RemoteFiles = LOCAL_ONLY) -> list[str]:
    """Returns the names of the files that stand in a folder itself, in no order.

    Raises:
      OSError: there is no such folder, or it cannot be read.
    """
    if not folder.startswith(CLOUD):
        return [entry.name for entry in Path(folder).iterdir() if entry.is_file()]
    prefix = folder.rstrip("/") + "/"
    found = remote.match(prefix + "*")
    return [name for path in found if "/" not in (name := path.removeprefix(prefix)) and name]
