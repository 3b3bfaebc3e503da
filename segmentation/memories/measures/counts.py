"""The measures `count` and `distinct`."""

from bisect import bisect_left, bisect_right
from typing import Any

from segmentation.events import Event
from segmentation.matching.paths import PathGetterAll
from segmentation.matching.selection import Selection
from segmentation.matching.values import identity, is_scalar
from segmentation.memories import rows
from segmentation.memories.measures.measure import Measure, Timeline, Windowed
from segmentation.memories.memory import Dropped, Memory
from segmentation.memories.rows import MAX_EVENTS, MAX_ROWS


class Count(Windowed):
    """Number of events in the window; rows of time."""

    columns = 1

    def __init__(
        self, key: int, selection: Selection, get_values: PathGetterAll, limit: int | None = None
    ) -> None:
        """`limit`: how many events decide the tests of the count, so that no more are stored; None if it is served."""
        super().__init__(key, selection, get_values)
        self.limit = limit

    def _found(self, message: dict[str, Any]) -> Any:
        return ()

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        dropped = super().add(memory, event, found, profile_time_ms)
        if self.limit is None:
            return dropped
        rows.drop_beyond(memory, self.limit)
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = super().merge(memory, other, profile_time_ms)
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


class CountEver(Measure):
    """`count` without a window. The memory is one number."""

    def _found(self, message: dict[str, Any]) -> Any:
        return True

    def fresh(self) -> Memory:
        return [0]

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        memory[0] += 1
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        return [memory[0] + other[0]]

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        yield t_ms, memory[0]


class Distinct(Measure):
    """Number of distinct scalars in the window; one row per scalar, with its latest time."""

    def __init__(
        self,
        key: int,
        selection: Selection,
        get_values: PathGetterAll,
        limit: int | None = None,
        takes_lists: bool = True,
    ) -> None:
        """`limit`: how many values decide the tests of the number, so that no more are stored; None if it is served."""
        super().__init__(key, selection, get_values)
        self.limit = limit
        self.takes_lists = takes_lists
        self._max_rows = MAX_ROWS if takes_lists else MAX_EVENTS

    def _found(self, message: dict[str, Any]) -> Any:
        return {identity(value) for value in self._get_values(message) if is_scalar(value)} or None

    def fresh(self) -> Memory:
        return [[], []]

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        _set_latest(memory, event.timestamp_ms, found)
        return self._bound(memory, profile_time_ms)

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = _latest(memory, other)
        self._bound(both, profile_time_ms)
        return both

    def shrink(self, memory: Memory) -> Dropped:
        return rows.drop_older_instants(memory)

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times = memory[0]
        first = bisect_right(times, t_ms - self.window_ms)
        count = len(times) - first
        yield t_ms, count
        for row in range(first, len(times)):
            count -= 1
            yield times[row] + self.window_ms, count

    def _bound(self, memory: Memory, profile_time_ms: int) -> Dropped:
        rows.drop_until(memory, profile_time_ms - self.window_ms)
        if self.limit is not None:
            rows.drop_beyond(memory, self.limit)
            return ()
        return rows.drop_rows_beyond(memory, self._max_rows)


def _set_latest(memory: Memory, time_ms: int, found: set[Any]) -> None:
    """Sets the time of values in place, except values of which the memory has a later one."""
    times, values = memory
    if known := found.intersection(values):
        later = bisect_left(times, time_ms)
        found = found.difference(values[later:])
        if moved := found.intersection(known):
            earlier = [row for row in range(later) if values[row] not in moved]
            times[:later] = [times[row] for row in earlier]
            values[:later] = [values[row] for row in earlier]
    after = bisect_right(times, time_ms)
    times[after:after] = [time_ms] * len(found)
    values[after:after] = found


def _latest(memory: Memory, other: Memory) -> Memory:
    """Returns the latest time of each value in two memories."""
    latest: dict[Any, int] = {}
    for times, values in (memory, other):
        for time, value in zip(times, values, strict=True):
            latest[value] = max(time, latest.get(value, time))
    newest = sorted(latest.items(), key=lambda item: item[1])
    return [[time for _, time in newest], [value for value, _ in newest]]
