"""The measures `sum` and `average`."""

from collections.abc import Iterator
from itertools import accumulate
from math import fsum
from typing import Any

from segmentation.events import Event
from segmentation.memories.exact_sum import grow
from segmentation.memories.measures.measure import Measure, Timeline, Windowed
from segmentation.memories.memory import Dropped, Memory


class Sum(Windowed):
    """Sum of the numbers in the window; rows of time and the sum of the event's numbers."""

    tolerant = True

    def _found(self, message: dict[str, Any]) -> Any:
        numbers = self._numbers(message)
        return (fsum(numbers),) if numbers else None

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times, sums = memory
        first = self._first_row(memory, t_ms)
        yield t_ms, fsum(sums[first:])
        for row, rest in zip(range(first, len(times)), _sums_after(sums, first), strict=True):
            yield times[row] + self.window_ms, rest


class Average(Windowed):
    """Average of the numbers in the window; rows of time, sum and count of the event's numbers."""

    columns = 3
    tolerant = True

    def _found(self, message: dict[str, Any]) -> Any:
        numbers = self._numbers(message)
        return (fsum(numbers), len(numbers)) if numbers else None

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times, sums, counts = memory
        first = self._first_row(memory, t_ms)
        count = sum(counts[first:])
        yield t_ms, fsum(sums[first:]) / count if count else None
        for row, rest in zip(range(first, len(times)), _sums_after(sums, first), strict=True):
            count -= counts[row]
            yield times[row] + self.window_ms, rest / count if count else None


def _sums_after(sums: list[float], first: int) -> Iterator[float]:
    """Yields, for each row from `first` on, the exact sum of the rows after it."""
    rows_left = len(sums) - first
    few = rows_left if rows_left <= 16 else 2  # a snapshot reads only the next change
    for row in range(first, first + few):
        yield fsum(sums[row + 1 :])
    # the rest backwards from the end, as integers over a common denominator
    ratios = [value.as_integer_ratio() for value in sums[first + few :]]
    scale = max((denominator for _, denominator in ratios), default=1)
    numerators = (numerator * (scale // denominator) for numerator, denominator in reversed(ratios))
    totals = list(accumulate(numerators, initial=0))
    for total in reversed(totals[:-1]):
        yield total / scale


class SumEver(Measure):
    """`sum` without a window. The memory has the partials of an exact sum."""

    tolerant = True

    def _found(self, message: dict[str, Any]) -> Any:
        # as doubles, because sums of integers would exceed the 64 bits of msgpack
        return [float(number) for number in self._numbers(message)] or None

    def fresh(self) -> Memory:
        return []

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        grow(memory, found)
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = list(memory)
        grow(both, other)
        return both

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        yield t_ms, fsum(memory)


class AverageEver(SumEver):
    """`average` without a window. The memory has the count of the numbers and the partials of their exact sum."""

    def fresh(self) -> Memory:
        return [0]

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        partials = memory[1:]
        grow(partials, found)
        memory[:] = [memory[0] + len(found), *partials]
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        partials = memory[1:]
        grow(partials, other[1:])
        return [memory[0] + other[0], *partials]

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        yield t_ms, fsum(memory[1:]) / memory[0] if memory[0] else None
