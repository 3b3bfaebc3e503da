"""Memories: the part of a profile's state that one condition, measure, score or trait needs."""

from collections.abc import Sequence
from typing import Any

from segmentation.events import Event

Memory = list[Any]
"""A list that msgpack can encode; each kind has its own form."""
Dropped = Sequence[int]
"""The time of each event that was dropped, in Unix milliseconds."""


class MemoryKind:
    """A kind of memory that the rules need. Equal conditions share one, because `key` is a hash of their content."""

    max_rows_per_event = 1
    """The most rows that one event can add, not counting further values of a list."""
    takes_lists = False
    """Whether one event can add a row for each value of a list."""

    def __init__(self, key: int, names: frozenset[str]) -> None:
        self.key = key
        self.names = names
        """The names of the events that can change it; `*` stands for every event."""

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        """Returns the part of an event that the memory stores, given the event's name; None if it ignores the event."""
        raise NotImplementedError

    def fresh(self) -> Memory:
        """Returns the memory of a profile without events."""
        raise NotImplementedError

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        """Adds the result of `extract` in place; returns the events that were dropped to stay within a bound."""
        raise NotImplementedError

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        """Returns the memory of two disjoint sets of events; it can modify both arguments."""
        raise NotImplementedError

    def public_value(self, memory: Memory) -> Any:
        """Returns the part of the memory that snapshots contain, in its stored form; None if there is none."""
        return memory

    def shrink(self, memory: Memory) -> Dropped:
        """Drops the older half of the rows, because the profile is too large; returns the dropped events."""
        return ()
