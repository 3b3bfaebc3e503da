"""The base classes of measures.

`timeline(memory, t)` yields pairs `(instant, value)`: first the value at t, then each later instant at which the value
can change if no further event comes, with the value from then on.
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from segmentation.events import Event
from segmentation.matching.paths import PathGetterAll
from segmentation.matching.selection import Selection
from segmentation.matching.values import as_number
from segmentation.memories import rows
from segmentation.memories.memory import Dropped, Memory, MemoryKind
from segmentation.memories.rows import MAX_EVENTS

Timeline = Iterator[tuple[int, Any]]


def coalesced(timeline: Timeline) -> Timeline:
    """Yields one value per instant, the last: rows that share a timestamp expire together."""
    latest = next(timeline)
    for step in timeline:
        if step[0] != latest[0]:
            yield latest
        latest = step
    yield latest


class Measure(MemoryKind):
    """A measure over a selection of events. The subclass decides what to store of them."""

    tolerant = False
    """Whether comparisons allow a relative error of 1e-9, because the value is a sum or an average."""

    def __init__(self, key: int, selection: Selection, get_values: PathGetterAll) -> None:
        super().__init__(key, selection.names)
        self.window_ms = selection.window_ms
        self._matches = selection.matches
        self._get_values = get_values

    @cached_property
    def when_empty(self) -> Any:
        """The value if there is no event."""
        return next(self.timeline(self.fresh(), 0))[1]

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        return self._found(message) if self._matches(message) else None

    def timeline(self, memory: Memory, t_ms: int) -> Timeline:
        """Yields pairs (instant, value) from t on; see the module."""
        raise NotImplementedError

    def _found(self, message: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _numbers(self, message: dict[str, Any]) -> list[float]:
        return [number for value in self._get_values(message) if (number := as_number(value)) is not None]


class Windowed(Measure):
    """A measure whose memory has a row for each event of the window, at most `MAX_EVENTS`."""

    columns = 2

    def fresh(self) -> Memory:
        return [[] for _ in range(self.columns)]

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        rows.insert(memory, event.timestamp_ms, *found)
        rows.drop_until(memory, profile_time_ms - self.window_ms)
        return rows.drop_beyond(memory, MAX_EVENTS)

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = rows.merged(memory, other)
        rows.drop_until(both, profile_time_ms - self.window_ms)
        rows.drop_beyond(both, MAX_EVENTS)
        return both

    def shrink(self, memory: Memory) -> Dropped:
        return rows.drop_older_half(memory)

    def _first_row(self, memory: Memory, t_ms: int) -> int:
        return bisect_right(memory[0], t_ms - self.window_ms)
