"""The log of a bounded run: finds its files, checks that they can be read, and finds its latest timestamp."""

import glob
import zlib

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from pipeline.cloud_files import CloudFiles
from segmentation.events import DEFAULT_LIMITS, EventLimits, InvalidEvent, parse_event
from segmentation.printable import printable
from stores.files import CLOUD
from transforms.read_events import is_packed_file, read_lines

_UNREADABLE = (OSError, EOFError, zlib.error, GoogleAPIError, GoogleAuthError)


class LogError(ValueError):
    """No file matches, or a file of the log cannot be read. The message names the file or the pattern."""


def log_paths(pattern: str) -> tuple[str, ...]:
    """Returns the files that match a path or a glob, sorted by name.

    Raises:
      LogError: no file matches, or the files cannot be listed.
    """
    try:
        found = CloudFiles().match(pattern) if pattern.startswith(CLOUD) else glob.glob(pattern)
    except _UNREADABLE as error:
        raise _unreadable(pattern, error) from None
    if not found:
        raise LogError(f"{printable(pattern)} matches no file")
    return tuple(sorted(found))


def check_readable(paths: tuple[str, ...]) -> None:
    """Reads the first line of each file, and the whole of a local gzip file, which can be damaged anywhere.

    Raises:
      LogError: a file cannot be read.
    """
    for path in paths:
        try:
            to_its_end = not path.startswith(CLOUD) and is_packed_file(path)
            for _ in read_lines(path):
                if not to_its_end:
                    break
        except _UNREADABLE as error:
            raise _unreadable(path, error) from None


def latest_event_ms(paths: tuple[str, ...], now_ms: int, limits: EventLimits = DEFAULT_LIMITS) -> int:
    """Returns the latest timestamp of a valid event up to now, in Unix milliseconds; now if there is none.

    Raises:
      LogError: a file cannot be read.
    """
    latest_ms = None
    for path in paths:
        try:
            for line in read_lines(path):
                timestamp_ms = _timestamp_ms(line, limits)
                if timestamp_ms is not None and timestamp_ms <= now_ms:
                    latest_ms = timestamp_ms if latest_ms is None else max(latest_ms, timestamp_ms)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from None
    return now_ms if latest_ms is None else latest_ms


def _unreadable(path: str, error: Exception) -> LogError:
    reason = getattr(error, "strerror", None) or str(error)
    return LogError(f"{printable(path)} cannot be read: {printable(reason)}")


def _timestamp_ms(line: bytes, limits: EventLimits) -> int | None:
    try:
        return parse_event(line, None, limits).timestamp_ms
    except InvalidEvent:
        return None  # ParseEvents turns this line into a dead letter
