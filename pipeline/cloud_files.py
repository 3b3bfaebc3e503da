"""Reads files on gs:// with Beam's own file systems."""

import contextlib
from collections.abc import Iterator

from apache_beam.io.filesystems import FileSystems
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError


class CloudFiles:
    """The `RemoteFiles` of a job and of the commands beside it."""

    def read(self, address: str) -> bytes:
        """Returns what a file holds.

        Raises:
          OSError: it cannot be read.
        """
        with _as_os_errors(), FileSystems.open(address) as file:
            return bytes(file.read())

    def match(self, pattern: str) -> list[str]:
        """Returns the addresses of the files that match a pattern, in no order.

        Raises:
          OSError: they cannot be listed.
        """
        with _as_os_errors():
            return [file.path for match in FileSystems.match([pattern]) for file in match.metadata_list]


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise OSError(str(error)) from None
