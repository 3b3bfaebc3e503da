"""Logs: files of JSON lines, packed with gzip or not."""

import gzip
from collections.abc import Iterator
from typing import BinaryIO


def log_lines(file: BinaryIO, *, packed: bool) -> Iterator[bytes]:
    """Yields the lines of an open file that are not blank, without their ends.

    Args:
      file: the file's bytes as they are stored.
      packed: whether it is packed with gzip.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is no whole gzip file.
    """
    for line in gzip.GzipFile(fileobj=file) if packed else file:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if line.strip():
            yield line
