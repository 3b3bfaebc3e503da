"""Size: keeps a profile's encoded state below its bound; the older rows of the largest memory go first."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from segmentation.memories.memory import Memory, MemoryKind
from segmentation.profile import state as states
from segmentation.profile.decisions import Decisions
from segmentation.profile.state import MAX_STATE_BYTES
from segmentation.rules.compiled import Reached, Rules

_ROW_BYTES = 1700
"""More than a row takes: a time (9 bytes), 256 characters of a message id (1027), a remembered value (at most 580:
a list of doubles that JSON writes as `0.0,`), and their headers.
"""
_GROWTH_OF_LISTS = 24
"""The rows of a list's values take at most so many times as many bytes as the payload. `1,` becomes a time and a
number, 10 bytes; the worst is `1e308,`, which becomes a time and a whole number of 1024 bits, 141 bytes.
"""
_encode_memory = msgspec.msgpack.Encoder().encode


class Shrunk(NamedTuple):
    """A memory from which old events went."""

    kind: MemoryKind
    memory: Memory
    dropped_events: int


class SizeBound:
    """Estimates the encoded state's size from above, so that it is measured only when it may be too large.

    Args:
      rules: whose memories grow.
      state_bytes: the encoded state's size at first.
    """

    def __init__(self, rules: Rules, state_bytes: int) -> None:
        self._rules = rules
        self._most_bytes = state_bytes + rules.decision_bytes

    def grow(self, reached: Reached, payload_bytes: int) -> None:
        """Adds the most bytes by which an event can make its memories grow."""
        self._most_bytes += reached.slots * _ROW_BYTES
        self._most_bytes += reached.list_slots * _GROWTH_OF_LISTS * payload_bytes

    def shrink(self, decisions: Decisions) -> Iterator[Shrunk]:
        """Halves the largest memory, time and again, until the state is below its bound; yields what it halved.

        The caller decides anew what each of them changes before it takes the next.
        """
        if self._most_bytes < MAX_STATE_BYTES:
            return
        while (size := len(states.encode(decisions.state))) >= MAX_STATE_BYTES and decisions.state.memories:
            memories = decisions.state.memories
            sizes = {key: len(_encode_memory(memory)) for key, memory in memories.items()}
            largest = max(sizes, key=sizes.__getitem__)
            kind = self._rules.kinds[largest]
            memory = decisions.memory(kind)
            dropped = kind.shrink(memory)
            if dropped == 0:
                del memories[largest]
                memory = kind.fresh()
            yield Shrunk(kind, memory, dropped or 1)
        self._most_bytes = size + self._rules.decision_bytes
