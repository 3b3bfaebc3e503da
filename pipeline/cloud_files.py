"""Reads files on gs:// with Beam's file systems.

The libraries of Beam and Google take seconds to import, and a command that reads only local files does not need them.
They are therefore imported when the first file on gs:// is read or listed.
"""

import contextlib
from collections.abc import Iterator


class CloudFiles:
    """Implements `RemoteFiles` for the job and the commands."""

    def read(self, address: str) -> bytes:
        """Returns the content of a file.

        Raises:
          OSError: the file cannot be read.
        """
        with _as_os_errors():
            from apache_beam.io.filesystems import FileSystems

            with FileSystems.open(address) as file:
                return bytes(file.read())

    def match(self, pattern: str) -> list[str]:
        """Returns the addresses of the files that match a pattern, in no defined order.

        Raises:
          OSError: the files cannot be listed.
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
