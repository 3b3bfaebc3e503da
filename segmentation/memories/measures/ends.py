"""The measures `first` and `last`."""

from bisect import bisect_right
from typing import Any

from segmentation.events import Event
from segmentation.matching.values import is_scalar, stored_value
from segmentation.memories import rows
from segmentation.memories.measures.measure import Timeline, Windowed
from segmentation.memories.memory import Dropped, Memory


class First(Windowed):
    """The scalar of the earliest event that has one; rows of time, message id and value."""

    columns = 3

    def _found(self, message: dict[str, Any]) -> Any:
        value = self._get_values(message)[0]
        return (stored_value(value),) if is_scalar(value) else None

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        return super().add(memory, event, (event.message_id, *found), profile_time_ms)

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times, message_ids, values = memory
        first = self._first_row(memory, t_ms)
        instant = t_ms
        while first < len(times):
            after = bisect_right(times, times[first], first)
            several = after - first > 1
            earliest = min(range(first, after), key=message_ids.__getitem__) if several else first
            yield instant, values[earliest]
            instant = times[first] + self.window_ms
            first = after
        yield instant, None


class FirstEver(First):
    """`first` without a window. Only the earliest row is stored."""

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        super().add(memory, event, found, profile_time_ms)
        self._keep_earliest(memory)
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = rows.merged(memory, other)
        self._keep_earliest(both)
        return both

    def shrink(self, memory: Memory) -> Dropped:
        return ()

    def _keep_earliest(self, memory: Memory) -> None:
        times, message_ids, _ = memory
        if len(times) > 1:
            row = min(range(len(times)), key=lambda row: (times[row], message_ids[row]))
            for column in memory:
                column[:] = [column[row]]


class Last(First):
    """The scalar of the latest event that has one. Only this row is stored, because the others expire before it."""

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        super().add(memory, event, found, profile_time_ms)
        self._keep_latest(memory)
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = super().merge(memory, other, profile_time_ms)
        self._keep_latest(both)
        return both

    def shrink(self, memory: Memory) -> Dropped:
        return ()

    def _keep_latest(self, memory: Memory) -> None:
        times, message_ids, _ = memory
        if len(times) > 1:
            row = max(range(len(times)), key=lambda row: (times[row], message_ids[row]))
            for column in memory:
                column[:] = [column[row]]
