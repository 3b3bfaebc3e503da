"""Reads files and folders, on this machine or on gs://."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

CLOUD = "gs://"


def read_file(path: str) -> bytes:
    """Returns what a file holds.

    Raises:
      OSError: it cannot be read.
    """
    if not path.startswith(CLOUD):
        return Path(path).read_bytes()
    with _cloud_errors_as_os_errors():
        from apache_beam.io.filesystems import FileSystems

        with FileSystems.open(path) as file:
            return file.read()


def list_folder(folder: str) -> list[str]:
    """Returns the names of the files that stand in a folder itself, in no order.

    Raises:
      OSError: there is no such folder, or it cannot be read.
    """
    if not folder.startswith(CLOUD):
        return [entry.name for entry in Path(folder).iterdir() if entry.is_file()]
    prefix = folder.rstrip("/") + "/"
    with _cloud_errors_as_os_errors():
        from apache_beam.io.filesystems import FileSystems

        found = [file.path for match in FileSystems.match([prefix + "*"]) for file in match.metadata_list]
    return [name for path in found if "/" not in (name := path.removeprefix(prefix)) and name]


@contextlib.contextmanager
def _cloud_errors_as_os_errors() -> Iterator[None]:
    # These take seconds to import, and a local file needs none of them.
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise OSError(str(error)) from None
