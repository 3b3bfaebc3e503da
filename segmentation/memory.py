"""What a profile remembers for a condition, and how an event changes it."""

from typing import Any

from segmentation.events import Event

Memory = list[Any]
"""A list that msgpack can hold."""


class MemoryKind:
    """One memory that the rules need: equal conditions share it, for `key` is a hash of their content."""

    slots = 1
    """In how many places at most it notes one event."""
    takes_lists = False
    """Whether each of these places notes all values of a list, else one."""

    def __init__(self, key: int, names: frozenset[str]) -> None:
        self.key = key
        self.names = names
        """The names of events that can reach it; `*` stands for every event."""

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        """Returns what the memory takes from an event of a name, None where the event does not matter."""
        raise NotImplementedError

    def fresh(self) -> Memory:
        """Returns the memory of no event."""
        raise NotImplementedError

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        """Adds what `extract` found, in place; returns how many old events a bound made it forget."""
        raise NotImplementedError

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        """Returns the memory of both sets of events, which must be disjoint; may use up both."""
        raise NotImplementedError

    def seen(self, memory: Memory) -> Memory:
        """Returns the part of a memory that readers see, where it is served as it is."""
        return memory

    def shrink(self, memory: Memory) -> int:
        """Forgets the older half of its rows, for a profile that is too large; returns how many went."""
        return 0
