"""The consoles of runs on this machine: they lay out text, and show no character that a terminal obeys."""

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.segment import Segment

from segmentation.printable import printable_lines
from stores.terminal import terminal_of


class PrintableConsole(Console):
    """A console without markup, for texts that can come from input; colours and positions are its own only.

    A text in a table or on a line of its own also needs `printable`, because line ends are kept.

    Args:
      to_stderr: whether it writes to standard error.
    """

    def __init__(self, *, to_stderr: bool = False) -> None:
        stream = terminal_of(sys.stderr if to_stderr else sys.stdout)
        super().__init__(file=stream, markup=False, highlight=False, emoji=False)

    def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
        for segment in super().render(*arguments, **options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))
