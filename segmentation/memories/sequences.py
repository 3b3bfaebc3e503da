"""Sequences: ordered steps of events within a window, and events that must not follow (`then_not`)."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence as Items
from typing import Any

import msgspec

from segmentation.events import Event
from segmentation.matching.paths import PathGetterAll
from segmentation.matching.selection import Selection
from segmentation.matching.values import identity, is_scalar
from segmentation.memories import rows
from segmentation.memories.memory import Dropped, Memory, MemoryKind
from segmentation.memories.rows import MAX_EVENTS, MAX_ROWS
from segmentation.timestamps import NEVER

Span = tuple[int, int]
"""[begin, end) in Unix milliseconds."""


class Part(msgspec.Struct, frozen=True):
    """A step or an entry of `then_not`."""

    selection: Selection
    same: PathGetterAll | None
    """Gets the shared values of a message; None in a sequence without `same`."""


class Step(Part, frozen=True):
    """A step of a sequence."""

    max_gap_ms: int = NEVER


class ThenNot(Part, frozen=True):
    """Events that must not follow the last step."""

    duration_ms: int = 0
    lasting: bool = False
    """True for the key `for`: such an event also ends the sequence after the duration. False for `during`."""


class Sequence(MemoryKind):
    """A sequence. The memory has, for each part, rows of the event times and the shared values if there is `same`.

    All events of the window are stored, because a late event can complete or break an instance of the sequence.
    """

    def __init__(self, key: int, steps: Items[Step], then_not: Items[ThenNot], window_ms: int) -> None:
        parts: list[Part] = [*steps, *then_not]
        super().__init__(key, frozenset().union(*(part.selection.names for part in parts)))
        self.window_ms = window_ms
        self._steps = steps
        self._then_not = then_not
        self.max_rows_per_event = len(parts)
        self._every_name = [(index, part) for index, part in enumerate(parts) if "*" in part.selection.names]
        self._parts_by_name = {
            name: [
                (index, part)
                for index, part in enumerate(parts)
                if not part.selection.names.isdisjoint((name, "*"))
            ]
            for name in self.names
        }
        self._shares = self.takes_lists = steps[0].same is not None
        self._step_indexes = range(len(steps))
        self._wait_ms = max((entry.duration_ms for entry in then_not), default=0)

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        found: list[tuple[int, set[Any] | None]] = []
        for index, part in self._parts_by_name.get(name, self._every_name):
            if part.selection.matches(message):
                if part.same is None:
                    found.append((index, None))
                elif values := _shared_values(part.same, message):
                    found.append((index, values))
        return found or None

    def fresh(self) -> Memory:
        return [[[], []] if self._shares else [[]] for _ in range(self.max_rows_per_event)]

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        dropped: set[int] = set()  # an event that several parts drop counts once
        time_ms = event.timestamp_ms
        cutoff_ms = profile_time_ms - self.window_ms
        for index, values in found:
            columns = memory[index]
            times = columns[0]
            if values is not None:
                _insert_values(columns, time_ms, values)
            elif (
                not times
                or times[-1] < time_ms
                or bisect_left(times, time_ms) == bisect_right(times, time_ms)
            ):
                rows.insert(columns, time_ms)
            if times[0] <= cutoff_ms:
                rows.drop_until(columns, cutoff_ms)
            if len(times) > MAX_EVENTS:
                dropped.update(_bounded(columns))
        return sorted(dropped) if dropped else ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        both = [rows.merged_distinct(columns, others) for columns, others in zip(memory, other, strict=True)]
        for columns in both:
            rows.drop_until(columns, profile_time_ms - self.window_ms)
            _bounded(columns)
        return both

    def shrink(self, memory: Memory) -> Dropped:
        return rows.drop_older_instants(max(memory, key=lambda columns: len(columns[0])))

    def spans(self, memory: Memory) -> list[Span]:
        """Returns the spans in which the sequence is true if no further event comes, disjoint and ascending."""
        for index in self._step_indexes:
            if not memory[index][0]:
                return []
        if not self._shares:
            spans = self._instance_spans([columns[0] for columns in memory])
        else:
            by_value = [_times_by_value(columns) for columns in memory]
            complete = set(by_value[0]).intersection(*by_value[1 : len(self._steps)])
            spans = [
                span
                for value in complete
                for span in self._instance_spans([times.get(value, []) for times in by_value])
            ]
        return _union(spans)

    def _instance_spans(self, times: list[list[int]]) -> list[Span]:
        ends, starts = self._chains(times)
        then_not = [(entry, times[len(self._steps) + i]) for i, entry in enumerate(self._then_not)]
        spans = []
        for end_ms, start_ms in zip(ends, starts, strict=True):
            until_ms = _until(end_ms, start_ms + self.window_ms, then_not)
            if end_ms + self._wait_ms < until_ms:
                spans.append((end_ms + self._wait_ms, until_ms))
        return spans

    def _chains(self, times: list[list[int]]) -> tuple[list[int], list[int]]:
        """Returns the times at which the last step happened, and for each the latest possible time of the first.

        An event extends only the chain that ended last before it, because that chain also started last.
        """
        ends = starts = times[0]
        for step, step_times in zip(self._steps[1:], times[1:], strict=False):
            next_ends, next_starts = [], []
            for time_ms in step_times:
                previous = bisect_left(ends, time_ms) - 1
                if previous >= 0 and time_ms - ends[previous] <= step.max_gap_ms:
                    next_ends.append(time_ms)
                    next_starts.append(starts[previous])
            ends, starts = next_ends, next_starts
        return ends, starts


def _bounded(columns: Memory) -> Dropped:
    return [*rows.drop_instants_beyond(columns, MAX_EVENTS), *rows.drop_rows_beyond(columns, MAX_ROWS)]


def _shared_values(same: PathGetterAll, message: dict[str, Any]) -> set[Any]:
    return {identity(value) for value in same(message) if is_scalar(value)}


def _insert_values(columns: Memory, time_ms: int, values: set[Any]) -> None:
    """Inserts a row for each value, except values that already have a row at this time."""
    times, known = columns
    after = bisect_right(times, time_ms)
    if after and times[after - 1] == time_ms:
        values = values.difference(known[bisect_left(times, time_ms) : after])
    times[after:after] = [time_ms] * len(values)
    known[after:after] = values


def _times_by_value(columns: Memory) -> dict[Any, list[int]]:
    by_value: dict[Any, list[int]] = {}
    for time_ms, value in zip(*columns, strict=True):
        by_value.setdefault(value, []).append(time_ms)
    return by_value


def _until(end_ms: int, until_ms: int, then_not: list[tuple[ThenNot, list[int]]]) -> int:
    """Returns the end of an instance that was completed at `end_ms`; `end_ms` if a `then_not` prevents it."""
    for entry, times in then_not:
        following = bisect_right(times, end_ms)
        if following == len(times):
            continue
        match_ms = times[following]
        if match_ms <= end_ms + entry.duration_ms:
            return end_ms
        if entry.lasting:
            until_ms = min(until_ms, match_ms)
    return until_ms


def _union(spans: list[Span]) -> list[Span]:
    union: list[Span] = []
    for begin_ms, end_ms in sorted(spans):
        if union and begin_ms <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end_ms))
        else:
            union.append((begin_ms, end_ms))
    return union
