"""What is served of a profile: its memberships, and the values of scores, named measures and traits."""

from collections.abc import Callable, Iterable
from typing import Any

from segmentation.matching.values import served
from segmentation.memberships import Membership, Snapshot
from segmentation.memories.measures import settled
from segmentation.memories.memory import Memory, MemoryKind
from segmentation.profile.state import State
from segmentation.rules.compiled import Rules
from segmentation.timestamps import NEVER, optional

MemoryOf = Callable[[MemoryKind], Memory]
_NOTHING: dict[str, Any] = {}
"""Stands for every empty part of a snapshot: many snapshots wait in memory."""


def snapshot_of(profile_id: str, state: State, rules: Rules, memory_of: MemoryOf, now_ms: int) -> Snapshot:
    """Returns all that is served of a profile at its clock; `now_ms` is the processing time."""
    memories = state.memories
    return Snapshot(
        profile_id=profile_id,
        version=state.version,
        rules_version=rules.version,
        updated_at_ms=state.clock_ms,
        processed_at_ms=now_ms,
        segments={
            name: Membership(member.entered_at_ms, optional(member.leaves_at_ms))
            for name, member in state.members.items()
        }
        or _NOTHING,
        scores={
            name: score.served(memory_of(score))
            for name, score in rules.scores.items()
            if score.key in memories
        }
        or _NOTHING,
        measures={name: served(_current(name, state, rules, memory_of)) for name in rules.measures}
        or _NOTHING,
        traits={
            path: served(value)
            for path, trait in rules.traits.items()
            if trait.key in memories and (value := memory_of(trait)[2]) is not None
        }
        or _NOTHING,
    )


def update_measures(state: State, rules: Rules, memory_of: MemoryOf, touched: Iterable[str]) -> bool:
    """Takes the named measures' values anew, where an event or time may have changed them.

    Returns:
      Whether one of the values differs.
    """
    stale = [name for name, (_, until_ms) in state.measures.items() if until_ms <= state.clock_ms]
    differ = False
    for name in {*touched, *stale} if touched or stale else ():
        known = state.measures.get(name)
        before = rules.measures[name].when_empty if known is None else known[0]
        after, _ = state.measures[name] = _value(name, state, rules, memory_of)
        if before != after or before.__class__ is not after.__class__:  # true is not served like 1
            differ = True
    return differ


def _current(name: str, state: State, rules: Rules, memory_of: MemoryOf) -> Any:
    """Returns the value at the clock; what is served from now on, the next event's is compared with."""
    known = state.measures.get(name)
    if known is None:
        return rules.measures[name].when_empty
    if known[1] <= state.clock_ms:
        known = state.measures[name] = _value(name, state, rules, memory_of)
    return known[0]


def _value(name: str, state: State, rules: Rules, memory_of: MemoryOf) -> tuple[Any, int]:
    """Returns a measure's value at the clock, and the instant until which it stays so."""
    measure = rules.measures[name]
    timeline = settled(measure.timeline(memory_of(measure), state.clock_ms))
    value = next(timeline)[1]
    return value, min(next(timeline, (NEVER, None))[0], NEVER)
