"""Traits: what `identify` calls say of a user."""

from typing import Any

from segmentation.events import Event
from segmentation.matching.paths import compile_reach
from segmentation.matching.values import remember
from segmentation.memories.measures.ends import MAX_TIE_BREAKER_CHARACTERS
from segmentation.memories.memory import Memory, MemoryKind


class Trait(MemoryKind):
    """The value at one path on the latest identify call that carries its top-level key.

    Remembers time, message id and value. Null is remembered too: it unsets, also against late calls.
    """

    def __init__(self, key: int, path: str) -> None:
        super().__init__(key, frozenset({"$identify"}))
        self.path = path
        self._top_level = path.split(".")[0]
        self._reach = compile_reach(path)

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        traits = message.get("traits")
        if not traits or self._top_level not in traits:
            return None
        return (remember(self._reach(traits)),)

    def fresh(self) -> Memory:
        return []

    def add(self, memory: Memory, event: Event, found: Any, clock_ms: int) -> int:
        row = [event.timestamp_ms, event.message_id[:MAX_TIE_BREAKER_CHARACTERS], *found]
        if not memory or row[:2] > memory[:2]:
            memory[:] = row
        return 0

    def merge(self, memory: Memory, other: Memory, clock_ms: int) -> Memory:
        return max(memory, other, key=lambda row: row[:2])

    def seen(self, memory: Memory) -> Memory:
        return memory[2:] if memory and memory[2] is not None else []
