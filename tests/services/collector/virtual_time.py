"""Runs coroutines in a time of their own, which jumps to the next timer whenever nothing else is left to do."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Tells the loop how long it would have waited, instead of waiting."""

    waited_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits, and no timer will end it")
        self.waited_seconds += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.waited_seconds


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Returns what a coroutine returns; its loop's time begins at 0.

    Raises:
      AssertionError: the coroutine waits for what no timer brings.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)


async def others_have_run() -> None:
    """Returns when every other task waits for a timer, or for another task."""
    await asyncio.sleep(1e-6)  # the loop's time moves only then
