"""Rows sorted by time and stored as columns: the memory of the events of a window.

A memory is a list of columns of equal length. The first has the event times in Unix milliseconds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any

import msgspec

from segmentation.memories.memory import Dropped

Columns = list[list[Any]]

MAX_EVENTS = 1000
"""The most events of a window that the memory of a condition, or of a step of a sequence, can have."""
MAX_ROWS = 10_000
"""The most rows for which older instants are kept, if one event can add several: a row for each value of a list."""
_encode = msgspec.msgpack.Encoder().encode


def insert(columns: Columns, time_ms: int, *values: Any) -> None:
    """Inserts a row after all rows of the same time or earlier."""
    times = columns[0]
    if not times or times[-1] <= time_ms:
        times.append(time_ms)
        for column, value in zip(columns[1:], values, strict=True):
            column.append(value)
        return
    row = bisect_right(times, time_ms)
    for column, value in zip(columns, (time_ms, *values), strict=True):
        column.insert(row, value)


def drop_until(columns: Columns, cutoff_ms: int) -> None:
    """Drops the rows at or before the cutoff. Windows that end at the profile time or later do not include them."""
    times = columns[0]
    if times and times[0] <= cutoff_ms:
        _drop_first(columns, bisect_right(times, cutoff_ms))


def drop_beyond(columns: Columns, limit: int) -> Dropped:
    """Drops the oldest rows until at most `limit` are left, if each event has one row; returns the dropped events."""
    surplus = len(columns[0]) - limit
    if surplus <= 0:
        return ()
    dropped: Dropped = columns[0][:surplus]
    _drop_first(columns, surplus)
    return dropped


def drop_instants_beyond(columns: Columns, max_instants: int) -> Dropped:
    """Drops the oldest instants until at most `max_instants` are left; returns the dropped ones, as events.

    It is used if one event can add several rows. At most `max_instants` events have at most `max_instants` instants, so
    none of them is dropped.
    """
    times = columns[0]
    if len(times) <= max_instants:
        return ()
    instants = set(times)
    if len(instants) <= max_instants:
        return ()
    return _drop_instants(columns, bisect_left(times, sorted(instants)[-max_instants]))


def drop_rows_beyond(columns: Columns, max_rows: int) -> Dropped:
    """Drops each instant that is followed by `max_rows` rows; returns the dropped ones, as events.

    Fewer than `max_rows` rows would let an event that is older than a dropped one be kept, and the result would depend
    on the order of arrival. If one instant has more than `max_rows` rows, those with the least values are kept.
    """
    times = columns[0]
    if len(times) <= max_rows:
        return ()
    dropped = _drop_instants(columns, bisect_left(times, times[-max_rows]))
    if bisect_right(times, times[0]) <= max_rows:
        return dropped
    _keep_of_first_instant(columns, max_rows)
    return [*dropped, times[0]]


def drop_older_half(columns: Columns) -> Dropped:
    """Drops the older half of the rows, if each event has one row; returns the dropped events."""
    return drop_beyond(columns, len(columns[0]) // 2)


def drop_older_instants(columns: Columns) -> Dropped:
    """Drops the instants of the older half of the rows, but not the latest; returns the dropped ones, as events.

    Of a single instant, the half of the rows with the least values is kept.
    """
    times = columns[0]
    if not times:
        return ()
    if latest := bisect_left(times, times[-1]):
        return _drop_instants(columns, min(bisect_right(times, times[(len(times) - 1) // 2]), latest))
    dropped = times[:1]
    _keep_of_first_instant(columns, len(times) // 2)
    return dropped


def merged(columns: Columns, others: Columns) -> Columns:
    """Returns the rows of both memories, sorted by time."""
    if not others[0]:
        return columns
    return _sorted([*zip(*columns, strict=True), *zip(*others, strict=True)])


def merged_distinct(columns: Columns, others: Columns) -> Columns:
    """Returns the different rows of both memories, sorted by time."""
    if not others[0]:
        return columns
    return _sorted({*zip(*columns, strict=True), *zip(*others, strict=True)})


def _sorted(rows: Iterable[tuple[Any, ...]]) -> Columns:
    return [list(column) for column in zip(*sorted(rows, key=lambda row: row[0]), strict=True)]


def _drop_instants(columns: Columns, count: int) -> Dropped:
    """Drops the first rows, which are all those of their instants; returns the instants."""
    dropped = sorted(set(columns[0][:count]))
    _drop_first(columns, count)
    return dropped


def _keep_of_first_instant(columns: Columns, count: int) -> None:
    """Keeps the rows with the least values of the first instant, so that which are kept depends on no order."""
    end = bisect_right(columns[0], columns[0][0])
    first = sorted(zip(*(column[:end] for column in columns), strict=True), key=_encode)[:count]
    for index, column in enumerate(columns):
        column[:end] = [row[index] for row in first]


def _drop_first(columns: Columns, count: int) -> None:
    for column in columns:
        del column[:count]
