"""Appends whole lines of JSON to a file: all of them or none, whatever happens meanwhile."""

import contextlib
import fcntl
import json
import logging
import os
import stat
from collections.abc import Iterable

from stores.private_files import open_private

_LOGGER = logging.getLogger(__name__)
_BLOCK_BYTES = 64 * 1024


def append_lines(path: str | os.PathLike[str], lines: Iterable[bytes]) -> None:
    """Appends lines to a file, which is created if needed, for its owner only.

    If a write fails, for example because the disk is full, the file is as before. If the process is killed in the
    middle, the next call cuts the half line from the file's end and logs a warning; lines before it stay. Several
    processes may append to one file: each waits for the others.

    When this returns, the lines survive the end of the process, but not necessarily that of the machine: they may still
    be in the memory of the system.

    Args:
      path: the file.
      lines: JSON objects without line ends.

    Raises:
      OSError: the lines cannot be written; none of them is in the file.
    """
    content = b"".join(line + b"\n" for line in lines)
    descriptor = open_private(path, os.O_RDWR | os.O_APPEND)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # closing the file ends it, and so does the end of the process
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # such as /dev/null: nothing there can be cut
            _write_all(descriptor, content)
            return
        _mend_end(descriptor, path)
        size = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, content)
        except BaseException:
            with contextlib.suppress(OSError):  # then the next call does it
                os.ftruncate(descriptor, size)
            raise
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _mend_end(descriptor: int, path: str | os.PathLike[str]) -> None:
    """Cuts what a killed process left of its last line. A whole object gets the line end that it lacks."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    start = _start_of_last_line(descriptor, size)
    try:
        json.loads(os.pread(descriptor, size - start, start))
    except ValueError:
        os.ftruncate(descriptor, start)
        cut = f"a half line of {size - start:,} bytes, which a killed process left, was cut"
        _LOGGER.warning("%s: %s", os.fspath(path), cut)
    else:
        _write_all(descriptor, b"\n")


def _start_of_last_line(descriptor: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(end - _BLOCK_BYTES, 0)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
