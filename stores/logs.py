"""Reads logs: files of JSON lines, optionally compressed with gzip."""

import gzip
from collections.abc import Iterator
from typing import BinaryIO


def log_lines(file: BinaryIO, *, packed: bool) -> Iterator[bytes]:
    """Yields the lines of an open file without their line ends; skips blank lines.

    Args:
      file: the open file, not decompressed.
      packed: whether the file is compressed with gzip.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is not a complete gzip file.
    """
    for line in gzip.GzipFile(fileobj=file) if packed else file:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if line.strip():
            yield line
