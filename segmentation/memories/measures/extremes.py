"""The measures `max` and `min`."""

from typing import Any

from segmentation.events import Event
from segmentation.memories import rows
from segmentation.memories.measures.measure import Timeline, Windowed
from segmentation.memories.memory import Dropped, Memory
from segmentation.memories.rows import MAX_EVENTS
from segmentation.timestamps import NEVER


class Max(Windowed):
    """The greatest number in the window; rows of time and number, without rows that a later, greater number hides."""

    sign = 1

    def _found(self, message: dict[str, Any]) -> Any:
        numbers = self._numbers(message)
        return (max(numbers) if self.sign > 0 else min(numbers),) if numbers else None

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        rows.insert(memory, event.timestamp_ms, *found)
        rows.drop_until(memory, profile_time_ms - self.window_ms)
        self._drop_hidden(memory)
        return rows.drop_beyond(memory, MAX_EVENTS)

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = rows.merged(memory, other)
        rows.drop_until(both, profile_time_ms - self.window_ms)
        self._drop_hidden(both)
        rows.drop_beyond(both, MAX_EVENTS)
        return both

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        times, numbers = memory
        instant = t_ms
        for row in range(self._first_row(memory, t_ms), len(times)):
            yield instant, numbers[row]
            instant = times[row] + self.window_ms
        yield instant, None

    def _drop_hidden(self, memory: Memory) -> None:
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
    """The least number in the window; like `Max`, with the order reversed."""

    sign = -1
