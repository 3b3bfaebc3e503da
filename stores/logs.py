"""Reads logs: files of JSON lines, optionally compressed with gzip. A file's name does not matter."""

import gzip
from collections.abc import Iterator
from typing import BinaryIO, cast

GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_packed(file: BinaryIO) -> bool:
    """Returns whether an open file begins as gzip does. The file is at its start before and afterwards.

    Raises:
      OSError: the file cannot be read.
    """
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return magic == GZIP_MAGIC


def log_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of an open file without their line ends; skips blank lines, and a byte order mark at the start.

    Args:
      file: the open file, at its start; it is decompressed if it begins as gzip does.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is not a complete gzip file.
    """
    is_first = True
    for line in _unpacked(file):
        if is_first:
            line, is_first = line.removeprefix(_BYTE_ORDER_MARK), False
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if line.strip():
            yield line


def log_head(file: BinaryIO, size_bytes: int) -> bytes:
    """Returns the first bytes of an open file, decompressed, and with a byte order mark if there is one.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is not a complete gzip file.
    """
    return _unpacked(file).read(size_bytes)


def _unpacked(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed(file) else file
