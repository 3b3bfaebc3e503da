"""Traits: fields of a user, set by `identify` calls."""

from typing import Any

from segmentation.events import Event
from segmentation.matching.paths import compile_getter, parse_path
from segmentation.matching.values import stored_value
from segmentation.memories.memory import Dropped, Memory, MemoryKind


class Trait(MemoryKind):
    """The value at one path of the latest identify call that has the path's top-level key.

    The memory has the time, message id and value. A null is stored too, so that it also overrides late calls.
    """

    def __init__(self, key: int, path: str) -> None:
        super().__init__(key, frozenset({"$identify"}))
        self.path = path
        self._top_level = parse_path(path)[0].key
        self._get = compile_getter(path)

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        traits = message.get("traits")
        if not traits or self._top_level not in traits:
            return None
        return (stored_value(self._get(traits)),)

    def fresh(self) -> Memory:
        return []

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        row = [event.timestamp_ms, event.message_id, *found]
        if not memory or row[:2] > memory[:2]:
            memory[:] = row
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        return max(memory, other, key=lambda row: row[:2])

    def public_value(self, memory: Memory) -> Any:
        return memory[2] if memory else None
