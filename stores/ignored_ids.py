"""Reads the file of ids that stand for no id."""

from segmentation.identifiers import IgnoredIds, parse_ignored_ids
from segmentation.printable import printable
from stores.files import LOCAL_ONLY, RemoteFiles, read_file


class IgnoredIdsError(ValueError):
    """The file cannot be read."""


def read_ignored_ids(path: str, remote: RemoteFiles = LOCAL_ONLY) -> IgnoredIds:
    """Returns the ids in a file, one per line. They replace the default ones.

    Raises:
      IgnoredIdsError: the file cannot be read.
    """
    try:
        return parse_ignored_ids(read_file(path, remote).decode("utf-8-sig"))
    except OSError as error:
        raise IgnoredIdsError(
            f"{printable(path)} cannot be read: {printable(error.strerror or error)}"
        ) from None
    except UnicodeDecodeError:
        raise IgnoredIdsError(f"{printable(path)} is not UTF-8") from None
