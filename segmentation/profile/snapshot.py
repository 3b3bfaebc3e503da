"""Makes snapshots: a profile's memberships and the values of its scores, named measures and traits."""

from collections.abc import Callable, Iterable
from typing import Any

from segmentation.matching.values import public_value
from segmentation.memberships import Membership, Snapshot
from segmentation.memories.measures import coalesced
from segmentation.memories.memory import Memory, MemoryKind
from segmentation.profile.state import State
from segmentation.rules.compiled import Rules
from segmentation.timestamps import NEVER, optional

MemoryOf = Callable[[MemoryKind], Memory]
_NOTHING: dict[str, Any] = {}
"""The value of each empty part of a snapshot, shared because many snapshots wait in memory."""


def snapshot_of(profile_id: str, state: State, rules: Rules, memory_of: MemoryOf, now_ms: int) -> Snapshot:
    """Returns the snapshot of a profile at its profile time; `now_ms` is the processing time."""
    memories = state.memories
    segments = {
        name: Membership(member.entered_at_ms, optional(member.leaves_at_ms))
        for name, member in state.members.items()
    }
    scores = {
        name: value
        for name, score in rules.scores.items()
        if score.key in memories and (value := score.public_value(memory_of(score))) is not None
    }
    measures = {name: _current(name, state, rules, memory_of) for name in rules.measures}
    traits = {
        path: public_value(value)
        for path, trait in rules.traits.items()
        if trait.key in memories and (value := trait.public_value(memory_of(trait))) is not None
    }
    says_more = any(value != rules.measures[name].when_empty for name, value in measures.items())
    return Snapshot(
        profile_id=profile_id,
        version=state.version,
        rules_version=rules.version,
        updated_at_ms=state.profile_time_ms,
        processed_at_ms=now_ms,
        segments=segments or _NOTHING,
        scores=scores or _NOTHING,
        measures={name: public_value(value) for name, value in measures.items()} or _NOTHING,
        traits=traits or _NOTHING,
        is_empty=not (segments or scores or traits or says_more),
        is_visitor=not state.has_user_id,
        was_served=state.was_served,
    )


def update_measures(state: State, rules: Rules, memory_of: MemoryOf, touched: Iterable[str]) -> bool:
    """Recomputes the named measures that an event or time can have changed; returns whether a value differs.

    Args:
      touched: names of the measures whose memory has changed.
    """
    stale = [name for name, (_, until_ms) in state.measures.items() if until_ms <= state.profile_time_ms]
    differ = False
    for name in {*touched, *stale} if touched or stale else ():
        known = state.measures.get(name)
        before = rules.measures[name].when_empty if known is None else known[0]
        after, _ = state.measures[name] = _value(name, state, rules, memory_of)
        # the classes too, because true == 1, and a snapshot distinguishes them
        if before != after or before.__class__ is not after.__class__:
            differ = True
    return differ


def _current(name: str, state: State, rules: Rules, memory_of: MemoryOf) -> Any:
    """Returns the value at the profile time, and stores it, because later values are compared with it."""
    known = state.measures.get(name)
    if known is None:
        return rules.measures[name].when_empty
    if known[1] <= state.profile_time_ms:
        known = state.measures[name] = _value(name, state, rules, memory_of)
    return known[0]


def _value(name: str, state: State, rules: Rules, memory_of: MemoryOf) -> tuple[Any, int]:
    """Returns a measure's value at the profile time, and the instant until which it stays so."""
    measure = rules.measures[name]
    timeline = coalesced(measure.timeline(memory_of(measure), state.profile_time_ms))
    value = next(timeline)[1]
    return value, min(next(timeline, (NEVER, None))[0], NEVER)
