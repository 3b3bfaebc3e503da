"""Rows sorted by time and stored as columns: the memory of the events of a window.

A memory is a list of columns of equal length. The first has the event times in Unix milliseconds.
"""

from bisect import bisect_right
from typing import Any

Columns = list[list[Any]]

MAX_EVENTS = 1000
"""The most events of a window that the memory of a condition, or of a step of a sequence, can have."""


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


def drop_beyond(columns: Columns, limit: int) -> int:
    """Drops the oldest rows until at most `limit` are left; returns how many were dropped."""
    surplus = len(columns[0]) - limit
    if surplus <= 0:
        return 0
    _drop_first(columns, surplus)
    return surplus


def drop_instants_beyond(columns: Columns, limit: int) -> int:
    """Drops the oldest instants until at most `limit` distinct ones are left; returns how many were dropped.

    It is used if one event can add several rows. At most `limit` events have at most `limit` instants, so none of them
    is dropped.
    """
    times = columns[0]
    if len(times) <= limit:
        return 0
    instants = sorted(set(times))
    surplus = len(instants) - limit
    if surplus <= 0:
        return 0
    drop_until(columns, instants[surplus - 1])
    return surplus


def drop_older_half(columns: Columns) -> int:
    """Drops the older half of the rows; returns how many were dropped."""
    half = (len(columns[0]) + 1) // 2
    _drop_first(columns, half)
    return half


def merged(columns: Columns, others: Columns) -> Columns:
    """Returns the rows of both memories, sorted by time."""
    if not others[0]:
        return columns
    rows = sorted([*zip(*columns, strict=True), *zip(*others, strict=True)], key=lambda row: row[0])
    return [list(column) for column in zip(*rows, strict=True)]


def _drop_first(columns: Columns, count: int) -> None:
    for column in columns:
        del column[:count]
