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

    def changes(self, memory: Memory) -> list[int]:
        """Returns the instants at which the sequence becomes true, and false again, if no further event comes.

        They ascend, and it is false before the first one.
        """
        for index in self._step_indexes:
            if not memory[index][0]:
                return []
        ends, starts, values = self._chains(memory)
        then_not = [
            (entry, _times_by_value(columns))
            for entry, columns in zip(self._then_not, memory[len(self._steps) :], strict=True)
            if columns[0]
        ]
        changes: list[int] = []
        latest_ms = -NEVER
        for end_ms, start_ms, value in zip(ends, starts, values, strict=True):
            until_ms = start_ms + self.window_ms
            if then_not:
                until_ms = _until(end_ms, until_ms, value, then_not)
            begin_ms = end_ms + self._wait_ms
            if begin_ms >= until_ms:
                continue
            if begin_ms > latest_ms:
                changes += (begin_ms, until_ms)
                latest_ms = until_ms
            elif until_ms > latest_ms:
                changes[-1] = latest_ms = until_ms
        return changes

    def _chains(self, memory: Memory) -> tuple[list[int], list[int], list[Any]]:
        """Returns the times at which the last step happened, ascending, with two more lists of the same length.

        These are the latest possible times of the first step, and the shared values. An event extends only the chain
        of its value that ended last before it, because that chain also started last.
        """
        ends, values = _times_and_values(memory[0])
        starts = ends
        for step, columns in zip(self._steps[1:], memory[1:], strict=False):
            next_ends, next_starts, next_values = [], [], []
            latest: dict[Any, int] = {}
            chain, chains = 0, len(ends)
            for time_ms, value in zip(*_times_and_values(columns), strict=True):
                while chain < chains and ends[chain] < time_ms:
                    latest[values[chain]] = chain
                    chain += 1
                previous = latest.get(value)
                if previous is not None and time_ms - ends[previous] <= step.max_gap_ms:
                    next_ends.append(time_ms)
                    next_starts.append(starts[previous])
                    next_values.append(value)
            ends, starts, values = next_ends, next_starts, next_values
        return ends, starts, values


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


def _times_and_values(columns: Memory) -> Memory:
    """Returns the columns of a part; without `same`, all events share the value None."""
    return columns if len(columns) > 1 else [columns[0], [None] * len(columns[0])]


def _times_by_value(columns: Memory) -> dict[Any, list[int]]:
    if len(columns) == 1:
        return {None: columns[0]}
    by_value: dict[Any, list[int]] = {}
    for time_ms, value in zip(*columns, strict=True):
        by_value.setdefault(value, []).append(time_ms)
    return by_value


def _until(
    end_ms: int, until_ms: int, value: Any, then_not: list[tuple[ThenNot, dict[Any, list[int]]]]
) -> int:
    """Returns the end of an instance that was completed at `end_ms`; `end_ms` if a `then_not` prevents it."""
    for entry, times_by_value in then_not:
        times = times_by_value.get(value, ())
        following = bisect_right(times, end_ms)
        if following == len(times):
            continue
        match_ms = times[following]
        if match_ms <= end_ms + entry.duration_ms:
            return end_ms
        if entry.lasting:
            until_ms = min(until_ms, match_ms)
    return until_ms
