"""Writes to standard output and standard error only what a terminal shows, and one line for each log record."""

import contextlib
import io
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TextIO

from segmentation.printable import printable, printable_lines


class PrintableStream:
    """A text stream that writes control characters, except for line ends, and invisible characters as escapes.

    Args:
      stream: where it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def printable_output() -> Iterator[None]:
    """Escapes all that this process prints during a `with` block, and its traceback if the block raises.

    Each program's `main` has it as its decorator, because a message can contain any text of an input file, of a server
    or of a library. A message that puts such a text into a line of its own also calls `printable`, because line ends
    are kept here. Characters that the terminal's encoding lacks become escapes, too.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(_wrapped, before)
    try:
        yield
    except Exception:
        sys.excepthook = _show_exception
        raise
    finally:
        sys.stdout, sys.stderr = before


def terminal_of(stream: TextIO) -> TextIO:
    """Returns the stream behind a `PrintableStream`, for a writer that escapes texts itself and adds colours."""
    return stream.stream if isinstance(stream, PrintableStream) else stream


class LogLines(logging.Formatter):
    """Formats a record as one line without control characters, and a traceback below it as Python does.

    In a traceback, only Python's own lines begin at the left, so that no line of a message looks like a record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, error: Any) -> str:
        return _traceback_text(traceback.format_exception(*error))

    def formatStack(self, stack: str) -> str:
        return _indented(super().formatStack(stack))


def log_to_stderr(line_format: str) -> None:
    """Logs to standard error from level INFO on, unless the process already has a handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines(line_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _wrapped(stream: Any) -> Any:
    """Returns a stream that escapes; None stays None, which is what a process without the stream has."""
    return stream if stream is None or isinstance(stream, PrintableStream) else PrintableStream(stream)


def _traceback_text(parts: Iterable[str]) -> str:
    """Returns the text of a traceback, of which each part is a frame or a message."""
    return "\n".join(map(_indented, parts))


def _indented(part: str) -> str:
    """Returns a text with all lines but the first one indented."""
    first, *others = printable_lines(part).rstrip("\n").split("\n")
    return "\n".join([first, *(line if line[:1] in ("", " ") else f"  {line}" for line in others)])


def _show_exception(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    if sys.stderr is not None:
        sys.stderr.write(_traceback_text(traceback.format_exception(kind, error, at)) + "\n")
