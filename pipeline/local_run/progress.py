"""Shows the progress of a bounded run on this machine, on standard error."""

import contextlib
import logging
from collections.abc import Callable, Iterator

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.local_run.console import PrintableConsole
from segmentation.printable import printable
from stores.terminal import LogLines


@contextlib.contextmanager
def progress(what: str, *, only_on_terminals: bool = False) -> Iterator[None]:
    """Shows log messages of the job's steps, and warnings of all loggers, until a `with` block ends.

    Args:
      what: what is in progress; one live line in a terminal, which disappears at the end, otherwise a plain line.
      only_on_terminals: whether to show nothing at all elsewhere.
    """
    console, what = PrintableConsole(to_stderr=True), printable(what)
    if not console.is_terminal:
        if only_on_terminals:
            yield
            return
        console.print(what, soft_wrap=True)
        with _log_to(lambda line: console.print(line, soft_wrap=True), console):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as live:
        task = live.add_task(what, total=None)
        with _log_to(lambda line: live.update(task, description=f"{what}: {line}"), console):
            yield


@contextlib.contextmanager
def _log_to(show: Callable[[str], None], console: PrintableConsole) -> Iterator[None]:
    """Takes the place of the root logger's handlers."""
    root, steps = logging.getLogger(), logging.getLogger("transforms")
    levels, handlers = (root.level, steps.level), root.handlers
    root.handlers = [_Handler(show, console)]
    root.setLevel(logging.WARNING)
    steps.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(levels[0])
        steps.setLevel(levels[1])


class _Handler(logging.Handler):
    def __init__(self, show: Callable[[str], None], console: PrintableConsole) -> None:
        super().__init__()
        self._show = show
        self._console = console
        self.setFormatter(LogLines())

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._console.print(f"{record.levelname} {self.format(record)}", soft_wrap=True)
        else:
            self._show(printable(record.getMessage()))
