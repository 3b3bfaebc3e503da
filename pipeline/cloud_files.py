"""Reads files on gs:// with Beam's own file systems.

Beam and Google's libraries take seconds to import, and a command that reads local files needs none of them: they are
imported at the first address.
"""

import contextlib
from collections.abc import Iterator


class CloudFiles:
    """The `RemoteFiles` of a job and of the commands beside it."""

    def read(self, address: str) -> bytes:
        """Returns what a file holds.

        Raises:
          OSError: it cannot be read.
        """
        with _as_os_errors():
            from apache_beam.io.filesystems import FileSystems

            with FileSystems.open(address) as file:
                return bytes(file.read())

    def match(self, pattern: str) -> list[str]:
        """Returns the addresses of the files that match a pattern, in no order.

        Raises:
          OSError: they cannot be listed.
        """
        with _as_os_errors():
            from apache_beam.io.filesystems import FileSystems

            return [file.path for match in FileSystems.match([pattern]) for file in match.metadata_list]


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise OSError(str(error)) from None
