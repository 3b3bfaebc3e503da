"""Reads local files and folders, and remote ones through a reader that the caller passes."""

from pathlib import Path
from typing import Protocol

CLOUD = "gs://"


class RemoteFiles(Protocol):
    """Reads files at gs:// addresses. The implementation needs Beam, so only programs with Beam have one."""

    def read(self, address: str) -> bytes:
        """Returns the content of a file.

        Raises:
          OSError: the file cannot be read.
        """

    def match(self, pattern: str) -> list[str]:
        """Returns the addresses of the files that match a pattern, in any order.

        Raises:
          OSError: the files cannot be listed.
        """


class NoRemoteFiles:
    """Raises for every address, for programs that read only local files."""

    def read(self, address: str) -> bytes:
        raise OSError(f"{CLOUD} is not read here: give a local path")

    def match(self, pattern: str) -> list[str]:
        raise OSError(f"{CLOUD} is not read here: give a local path")


LOCAL_ONLY = NoRemoteFiles()


def read_file(path: str, remote: RemoteFiles = LOCAL_ONLY) -> bytes:
    """Returns the content of a file.

    Raises:
      OSError: the file cannot be read.
    """
    return remote.read(path) if path.startswith(CLOUD) else Path(path).read_bytes()


def list_folder(folder: str, remote: RemoteFiles = LOCAL_ONLY) -> list[str]:
    """Returns the names of the files in a folder, without those in its subfolders, in any order.

    Raises:
      OSError: the folder does not exist or cannot be read.
    """
    if not folder.startswith(CLOUD):
        return [entry.name for entry in Path(folder).iterdir() if entry.is_file()]
    prefix = folder.rstrip("/") + "/"
    found = remote.match(prefix + "*")
    return [name for path in found if "/" not in (name := path.removeprefix(prefix)) and name]
