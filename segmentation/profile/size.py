"""Keeps a profile's encoded state below its bound, by dropping older rows of the largest memory."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from segmentation.memories.memory import Dropped, Memory, MemoryKind
from segmentation.profile import state as states
from segmentation.profile.decisions import Decisions
from segmentation.profile.state import MAX_STATE_BYTES
from segmentation.rules.compiled import AffectedMemories

_ROW_BYTES = 1200
"""More than a row takes in bytes: a time (9), a message id (515), a stored value (at most 580, for a list of doubles
that are `0.0,` in JSON), and their headers.
"""
_GROWTH_OF_LISTS = 24
"""The most bytes of rows per byte of payload, if each value of a list becomes a row. `1,` becomes a time and a number,
10 bytes. The worst case is `1e308,`, which becomes a time and an integer of 1024 bits, 141 bytes.
"""
_encode_memory = msgspec.msgpack.Encoder().encode


class Shrunk(NamedTuple):
    """A memory from which old events were dropped."""

    kind: MemoryKind
    memory: Memory
    dropped: Dropped


def most_growth_bytes(affected: AffectedMemories, payload_bytes: int) -> int:
    """Returns the most bytes that an event can add to the memories that it affects."""
    rows = affected.max_rows_per_event * _ROW_BYTES
    return rows + affected.max_list_rows_per_event * _GROWTH_OF_LISTS * payload_bytes


def shrink(decisions: Decisions) -> Iterator[Shrunk]:
    """Halves the largest memory until the encoded state is below its bound; yields each halved memory.

    The caller evaluates the affected segments again before it takes the next one.
    """
    state, kinds = decisions.state, decisions.rules.kinds
    while len(states.encode(state)) >= MAX_STATE_BYTES and state.memories:
        sizes = {key: len(_encode_memory(memory)) for key, memory in state.memories.items()}
        largest = max(sizes, key=sizes.__getitem__)
        kind = kinds[largest]
        memory = decisions.memory(kind)
        dropped = kind.shrink(memory)
        if not dropped:
            del state.memories[largest]
            memory = kind.fresh()
            dropped = (state.profile_time_ms,)  # a memory without rows counts as one event
        yield Shrunk(kind, memory, dropped)
