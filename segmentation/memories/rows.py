"""Rows sorted by time, as columns: the form in which a profile remembers the events of a window.

A memory is a list of columns of equal length; the first holds the times, in milliseconds since the epoch.
"""

from bisect import bisect_right
from typing import Any

Columns = list[list[Any]]

MAX_EVENTS = 1000
"""How many events a condition, or a step of a sequence, remembers within its window."""


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
    """Drops the rows at or before the cutoff, which no window that ends at the clock or later can reach."""
    times = columns[0]
    if times and times[0] <= cutoff_ms:
        _drop_first(columns, bisect_right(times, cutoff_ms))


def drop_beyond(columns: Columns, limit: int) -> int:
    """Drops the oldest rows until at most `limit` are left; returns how many went."""
    surplus = len(columns[0]) - limit
    if surplus <= 0:
        return 0
    _drop_first(columns, surplus)
    return surplus


def drop_instants_beyond(columns: Columns, limit: int) -> int:
    """Drops the oldest instants until at most `limit` different ones are left; returns how many went.

    For rows of which one event can make several: no event is lost while there are at most `limit`.
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
    """Drops the older half of the rows, for a profile that is too large; returns how many went."""
    half = (len(columns[0]) + 1) // 2
    _drop_first(columns, half)
    return half


def merged(columns: Columns, others: Columns) -> Columns:
    """Returns the rows of both, sorted by time."""
    if not others[0]:
        return columns
    rows = sorted([*zip(*columns, strict=True), *zip(*others, strict=True)], key=lambda row: row[0])
    return [list(column) for column in zip(*rows, strict=True)]


def _drop_first(columns: Columns, count: int) -> None:
    for column in columns:
        del column[:count]
