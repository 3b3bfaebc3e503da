"""Measures: what a profile remembers of matching events, and the value that gives at an instant.

`timeline(memory, t)` yields pairs `(instant, value)`: the value at t, then every later instant at which the
value may change if no further event comes, with the value from then on.
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from math import fsum
from typing import Any

from segmentation import rows
from segmentation.events import Event
from segmentation.exact_sum import grow
from segmentation.memory import Memory, MemoryKind
from segmentation.paths import ReachAll
from segmentation.rows import MAX_EVENTS
from segmentation.selection import Selection
from segmentation.timestamps import NEVER
from segmentation.values import as_number, identity, is_scalar, remember

Timeline = Iterator[tuple[int, Any]]

MAX_TIE_BREAKER_CHARACTERS = 256


def settled(timeline: Timeline) -> Timeline:
    """Yields of the values at one instant only the last: what came at one instant goes at one instant."""
    settling = next(timeline)
    for step in timeline:
        if step[0] != settling[0]:
            yield settling
        settling = step
    yield settling


class Measure(MemoryKind):
    """A measure over a selection of events; a subclass says what is remembered of them."""

    tolerant = False
    """Its value is a sum or an average, which equals what it nearly equals."""

    def __init__(self, key: int, selection: Selection, reach: ReachAll) -> None:
        super().__init__(key, selection.names)
        self.window_ms = selection.window_ms
        self._matches = selection.matches
        self._reach = reach

    @cached_property
    def when_empty(self) -> Any:
        """The value without any event."""
        return next(self.timeline(self.fresh(), 0))[1]

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        return self._found(message) if self._matches(message) else None

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        """Yields (instant, value) from t on; see the module."""
        raise NotImplementedError

    def _found(self, message: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _numbers(self, message: dict[str, Any]) -> list[float]:
        return [number for value in self._reach(message) if (number := as_number(value)) is not None]


class _Windowed(Measure):
    """Remembers a row for each event of the window, at most `MAX_EVENTS`."""

    columns = 2

    def fresh(self) -> Memory:
        return [[] for _ in range(self.columns)]

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        rows.insert(memory, event.timestamp_ms, *found)
        rows.drop_until(memory, clock_ms - self.window_ms)
        return rows.drop_beyond(memory, MAX_EVENTS)

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = rows.merged(memory, other)
        rows.drop_until(both, clock_ms - self.window_ms)
        rows.drop_beyond(both, MAX_EVENTS)
        return both

    def shrink(self, memory: Memory) -> int:
        return rows.drop_older_half(memory)

    def _first_row(self, memory: Memory, t_ms: int) -> int:
        return bisect_right(memory[0], t_ms - self.window_ms)


class Count(_Windowed):
    """Number of events in the window."""

    columns = 1

    def __init__(self, key: int, selection: Selection, reach: ReachAll, limit: int | None = None) -> None:
        """`limit`: how many events are enough to decide the tests on the count; None where it is served."""
        super().__init__(key, selection, reach)
        self.limit = limit

    def _found(self, message: dict[str, Any]) -> Any:
        return ()

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        dropped = super().add(memory, event, found, clock_ms)
        if self.limit is None:
            return dropped
        rows.drop_beyond(memory, self.limit)
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = super().merge(memory, other, clock_ms)
        if self.limit is not None:
            rows.drop_beyond(both, self.limit)
        return both

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times = memory[0]
        first = self._first_row(memory, t_ms)
        count = len(times) - first
        yield t_ms, count
        for row in range(first, len(times)):
            count -= 1
            yield times[row] + self.window_ms, count


class Sum(_Windowed):
    """Sum of the numbers in the window; rows of time and the event's own sum."""

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


class Average(_Windowed):
    """Average of the numbers in the window; rows of time, the event's own sum and how many it had."""

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
    """Yields for each row from `first` on the exact sum of the rows after it."""
    rows_left = len(sums) - first
    few = rows_left if rows_left <= 16 else 2  # of what is served only the next change is asked for
    for row in range(first, first + few):
        yield fsum(sums[row + 1 :])
    # the rest from the end on, as whole numbers of a common denominator
    ratios = [value.as_integer_ratio() for value in sums[first + few :]]
    scale = max((denominator for _, denominator in ratios), default=1)
    total, totals = 0, []
    for numerator, denominator in reversed(ratios):
        totals.append(total / scale)
        total += numerator * (scale // denominator)
    yield from reversed(totals)


class First(_Windowed):
    """The scalar on the earliest event that has one; rows of time, message id and value."""

    columns = 3

    def _found(self, message: dict[str, Any]) -> Any:
        value = self._reach(message)[0]
        return (remember(value),) if is_scalar(value) else None

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        return super().add(memory, event, (event.message_id[:MAX_TIE_BREAKER_CHARACTERS], *found), clock_ms)

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times, message_ids, values = memory
        first = self._first_row(memory, t_ms)
        instant = t_ms
        while first < len(times):
            after = bisect_right(times, times[first])
            earliest = min(range(first, after), key=message_ids.__getitem__)
            yield instant, values[earliest]
            instant = times[first] + self.window_ms
            first = after
        yield instant, None


class FirstEver(First):
    """`first` without a window: only the earliest row is kept."""

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        super().add(memory, event, found, clock_ms)
        self._keep_earliest(memory)
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = rows.merged(memory, other)
        self._keep_earliest(both)
        return both

    def shrink(self, memory: Memory) -> int:
        return 0

    def _keep_earliest(self, memory: Memory) -> None:
        times, message_ids, _ = memory
        if len(times) > 1:
            row = min(range(len(times)), key=lambda row: (times[row], message_ids[row]))
            for column in memory:
                column[:] = [column[row]]


class Last(First):
    """The scalar on the latest event that has one: a single row, for the others expire before it."""

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        super().add(memory, event, found, clock_ms)
        self._keep_latest(memory)
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = super().merge(memory, other, clock_ms)
        self._keep_latest(both)
        return both

    def shrink(self, memory: Memory) -> int:
        return 0

    def _keep_latest(self, memory: Memory) -> None:
        times, message_ids, _ = memory
        if len(times) > 1:
            row = max(range(len(times)), key=lambda row: (times[row], message_ids[row]))
            for column in memory:
                column[:] = [column[row]]


class Max(_Windowed):
    """The greatest number in the window: a staircase of rows that no later, greater row outlives."""

    sign = 1

    def _found(self, message: dict[str, Any]) -> Any:
        numbers = self._numbers(message)
        return (max(numbers) if self.sign > 0 else min(numbers),) if numbers else None

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        rows.insert(memory, event.timestamp_ms, *found)
        rows.drop_until(memory, clock_ms - self.window_ms)
        self._keep_staircase(memory)
        return rows.drop_beyond(memory, MAX_EVENTS)

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = super().merge(memory, other, clock_ms)
        self._keep_staircase(both)
        return both

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times, numbers = memory
        instant = t_ms
        for row in range(self._first_row(memory, t_ms), len(times)):
            yield instant, numbers[row]
            instant = times[row] + self.window_ms
        yield instant, None

    def _keep_staircase(self, memory: Memory) -> None:
        times, numbers = memory
        if len(times) < 2:
            return
        if self.window_ms == NEVER:
            greatest = numbers.index(max(numbers) if self.sign > 0 else min(numbers))
            memory[:] = [[times[greatest]], [numbers[greatest]]]
            return
        kept: list[tuple[int, float]] = []
        for time, number in zip(reversed(times), reversed(numbers), strict=True):
            if not kept or number * self.sign > kept[-1][1] * self.sign:
                kept.append((time, number))
        memory[0][:] = [time for time, _ in reversed(kept)]
        memory[1][:] = [number for _, number in reversed(kept)]


class Min(Max):
    """The least number in the window."""

    sign = -1


class Distinct(Measure):
    """Number of different scalars in the window: the latest time of each."""

    def __init__(self, key: int, selection: Selection, reach: ReachAll, limit: int | None = None) -> None:
        """`limit`: how many values are enough to decide the tests on the number; None where it is served."""
        super().__init__(key, selection, reach)
        self.limit = limit

    def _found(self, message: dict[str, Any]) -> Any:
        return {identity(value) for value in self._reach(message) if is_scalar(value)} or None

    def fresh(self) -> Memory:
        return [[], []]

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        if len(found) > 1:
            memory[:] = _latest(memory, [[event.timestamp_ms] * len(found), list(found)])
        else:
            _note(memory, event.timestamp_ms, *found)
        return self._bound(memory, clock_ms)

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = _latest(memory, other)
        self._bound(both, clock_ms)
        return both

    def shrink(self, memory: Memory) -> int:
        return rows.drop_older_half(memory)

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times = memory[0]
        first = bisect_right(times, t_ms - self.window_ms)
        count = len(times) - first
        yield t_ms, count
        for row in range(first, len(times)):
            count -= 1
            yield times[row] + self.window_ms, count

    def _bound(self, memory: Memory, clock_ms: int) -> int:
        rows.drop_until(memory, clock_ms - self.window_ms)
        if self.limit is not None and self.limit <= MAX_EVENTS:
            rows.drop_beyond(memory, self.limit)
            return 0
        return rows.drop_instants_beyond(memory, MAX_EVENTS)


def _note(memory: Memory, time_ms: int, value: Any) -> None:
    """Takes in the time of one value, in place."""
    times, values = memory
    if value in values:
        row = values.index(value)
        if times[row] >= time_ms:
            return
        del times[row], values[row]
    rows.insert(memory, time_ms, value)


def _latest(memory: Memory, other: Memory) -> Memory:
    """Returns the latest time of each value in two memories."""
    latest: dict[Any, int] = {}
    for times, values in (memory, other):
        for time, value in zip(times, values, strict=True):
            latest[value] = max(time, latest.get(value, time))
    newest = sorted(latest.items(), key=lambda item: item[1])
    return [[time for _, time in newest], [value for value, _ in newest]]


class CountEver(Measure):
    """`count` without a window: one number."""

    def _found(self, message: dict[str, Any]) -> Any:
        return True

    def fresh(self) -> Memory:
        return [0]

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        memory[0] += 1
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        return [memory[0] + other[0]]

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        yield t_ms, memory[0]


class SumEver(Measure):
    """`sum` without a window: the partials of an exact sum."""

    tolerant = True

    def _found(self, message: dict[str, Any]) -> Any:
        # as doubles: sums of integers would outgrow the 64 bits that msgpack has
        return [float(number) for number in self._numbers(message)] or None

    def fresh(self) -> Memory:
        return []

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        grow(memory, found)
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        both = list(memory)
        grow(both, other)
        return both

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        yield t_ms, fsum(memory)


class AverageEver(SumEver):
    """`average` without a window: how many numbers there were, then the partials of their exact sum."""

    def fresh(self) -> Memory:
        return [0]

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        partials = memory[1:]
        grow(partials, found)
        memory[:] = [memory[0] + len(found), *partials]
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        partials = memory[1:]
        grow(partials, other[1:])
        return [memory[0] + other[0], *partials]

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        yield t_ms, fsum(memory[1:]) / memory[0] if memory[0] else None
