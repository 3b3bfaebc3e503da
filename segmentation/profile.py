"""The profile: applies an event, runs time forward, and tells which memberships changed.

Everything here is a function of the state, the event and the rules; `now_ms`, the processing time, only
stamps what comes out and, in a new state, the version.
"""

import heapq
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from segmentation import served
from segmentation import state as states
from segmentation.conditions import Leaf, Verdict, next_change
from segmentation.events import Event
from segmentation.instants import ProfileInstants, decided
from segmentation.memberships import Cause, Change, Snapshot, change_id
from segmentation.memory import Memory, MemoryKind
from segmentation.rules.compiled import Rules, Segment
from segmentation.state import MAX_STATE_BYTES, Member, State
from segmentation.timestamps import MAX_MS, NEVER, optional

VERSIONS_PER_MS = 4096
DEFAULT_PROFILE_TTL_MS = 400 * 86_400_000
_ROW_BYTES = 1700
"""More than a row takes: a time (9 bytes), 256 characters of a message id (1027), a remembered value (at most 580:
a list of doubles that JSON writes as `0.0,`), and their headers.
"""
_GROWTH_OF_LISTS = 24
"""The rows of a list's values take at most so many times as many bytes as the payload. `1,` becomes a time and a
number, 10 bytes; the worst is `1e308,`, which becomes a time and a whole number of 1024 bits, 141 bytes.
"""
_encode_memory = msgspec.msgpack.Encoder().encode
_decode_memory = msgspec.msgpack.Decoder().decode


class Outcome(NamedTuple):
    """What came of an event, or of time."""

    changes: list[Change]
    snapshot: Snapshot | None
    late: bool = False
    repeated: bool = False
    dropped_events: int = 0


class Profile:
    """One profile's state under some rules, open for changes."""

    def __init__(
        self,
        profile_id: str,
        rules: Rules,
        profile_ttl_ms: int,
        state: State | None,
        now_ms: int,
        state_bytes: int = 0,
    ) -> None:
        """Opens a state that was encoded under these or other rules, in so many bytes; None begins a new one."""
        self.profile_id = profile_id
        self.rules = rules
        self._ttl_ms = max(profile_ttl_ms, rules.longest_window_ms)
        self._now_ms = now_ms
        self.state = state or self._fresh_state()
        self._changes: list[Change] = []
        self._served_changed = False
        self._dropped_events = 0
        self._bytes_at_most = state_bytes + rules.decision_bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is no event: nothing to keep."""
        return self.state.last_event_ms == -NEVER

    def apply(self, event: Event) -> Outcome:
        """Takes in one event; one that was taken in before changes nothing."""
        state = self.state
        digest = states.digest_of(event.message_id)
        if states.is_recent(state.recent_messages, digest):
            return Outcome([], None, repeated=True)
        self._follow_rules()
        late = event.timestamp_ms < state.clock_ms
        if not late:
            self._run_to(event.timestamp_ms - 1)
        self._take_in(event, digest)
        self._bound_size("late_event" if late else "event", event.message_id)
        return self._outcome(late)

    def advance(self, t_ms: int) -> Outcome:
        """Lets time run to an instant: whatever is due until then changes, each at its own time."""
        self._follow_rules()
        self._run_to(t_ms)
        self._bound_size("time", None)
        return self._outcome(late=False)

    def deadline(self) -> int:
        """Returns the next instant at which anything can change by time alone; NEVER if nothing can."""
        return self.state.deadline_ms

    def encode(self) -> bytes:
        """Returns the state as bytes."""
        return states.encode(self.state)

    # Time

    def _run_to(self, t_ms: int) -> None:
        while (deadline_ms := self.state.deadline_ms) <= t_ms:
            if deadline_ms == self._forgotten_at_ms():
                self._forget(deadline_ms)
                return
            self.state.clock_ms = deadline_ms
            self._decide("time", None, set())
            self._set_deadline()

    def _set_deadline(self) -> None:
        state = self.state
        deadline_ms = self._forgotten_at_ms()
        for member in state.members.values():
            if member.leaves_at_ms < deadline_ms:
                deadline_ms = member.leaves_at_ms
        for entered_at_ms in state.pending.values():
            if entered_at_ms < deadline_ms:
                deadline_ms = entered_at_ms
        state.deadline_ms = deadline_ms

    def _forgotten_at_ms(self) -> int:
        at_ms = self.state.last_event_ms + self._ttl_ms
        return at_ms if at_ms <= MAX_MS else NEVER

    def _forget(self, t_ms: int) -> None:
        self.state.clock_ms = max(self.state.clock_ms, t_ms)  # a shorter ttl may lie in the past
        for name in list(self.state.members):
            self._exit(name, "forgotten", None)
        fresh = self._fresh_state()
        fresh.version = max(fresh.version, self.state.version)
        self.state = fresh
        self._served_changed = True

    # Events

    def _take_in(self, event: Event, digest: bytes) -> None:
        state = self.state
        is_first = self.is_empty
        time_ms = event.timestamp_ms
        cause: Cause = "late_event" if time_ms < state.clock_ms else "event"
        state.recent_messages = states.with_message(state.recent_messages, digest)
        state.last_event_ms = max(state.last_event_ms, time_ms)
        state.clock_ms = clock_ms = max(state.clock_ms, time_ms)
        affected = set(self.rules.decided_at_first) if is_first else set()
        self._served_changed |= is_first  # what an earlier state wrote may still be served
        touched_measures: list[str] = []
        name, reached = event.name, self.rules.reached_by(event.name)
        message = event.message if reached.memories else {}
        self._bytes_at_most += reached.slots * _ROW_BYTES
        self._bytes_at_most += reached.list_slots * _GROWTH_OF_LISTS * len(event.payload)
        for kind, leaves, measures, is_served in reached.memories:
            found = kind.extract(name, message)
            if found is None:
                continue
            memory = self._memory(kind)
            state.memories[kind.key] = memory
            # as bytes: the memory changes in place, and 1, 1.0 and true are equal but not served alike
            seen = _encode_memory(kind.seen(memory)) if is_served else None
            self._dropped_events += kind.add(memory, event, found, clock_ms)
            for leaf in leaves:
                self._judge(leaf, memory, affected)
            touched_measures += measures
            if seen is not None and seen != _encode_memory(kind.seen(memory)):
                self._served_changed = True
        self._decide(cause, event.message_id, affected)
        self._set_deadline()
        self._update_measures(touched_measures)

    def _memory(self, kind: MemoryKind) -> Memory:
        memory = self.state.memories.get(kind.key)
        if memory is None:
            return kind.fresh()
        if memory.__class__ is msgspec.Raw:
            memory = self.state.memories[kind.key] = _decode_memory(memory)
        return memory  # type: ignore[no-any-return]

    # Decisions

    def _decide(self, cause: Cause, message_id: str | None, affected: set[int]) -> None:
        """Brings verdicts and memberships to the clock; the segments in `affected` for sure."""
        state, rules = self.state, self.rules
        clock_ms = state.clock_ms
        for key in [key for key, (_, until_ms) in state.verdicts.items() if until_ms <= clock_ms]:
            leaf = rules.leaves[key]
            self._judge(leaf, self._memory(leaf.kind), affected)
        if affected:
            self._settle(affected, cause, message_id)

    def _judge(self, leaf: Leaf, memory: Memory, affected: set[int]) -> None:
        """Takes a leaf's verdict anew, and notes the segments for which that matters."""
        verdicts = self.state.verdicts
        before = verdicts.get(leaf.key, leaf.when_empty)
        after = leaf.of_memory(memory, self.state.clock_ms)
        if after == before and after[1] == NEVER:
            return  # else what follows the deadline may have changed, though the verdict did not
        if after == leaf.when_empty:
            verdicts.pop(leaf.key, None)
        else:
            verdicts[leaf.key] = after
        affected.update(self.rules.segments_of_leaf.get(leaf.key, ()))

    def _settle(self, affected: set[int], cause: Cause, message_id: str | None) -> None:
        """Decides the affected segments, each after those that it refers to."""
        rules = self.rules
        instants = ProfileInstants(self.state, rules, self._memory)
        queue = sorted(affected)
        while queue:
            index = heapq.heappop(queue)
            segment = rules.segments[index]
            before = decided(self.state, segment)
            holds, until_ms = next_change(segment.condition, instants)
            after = (holds, until_ms if until_ms <= MAX_MS else NEVER)
            if after != before:
                self._record(segment, before, after, cause, message_id)
            if after != before or until_ms < NEVER:
                for referring in rules.referring.get(index, ()):
                    if referring not in affected:
                        affected.add(referring)
                        heapq.heappush(queue, referring)

    def _record(
        self, segment: Segment, before: Verdict, after: Verdict, cause: Cause, message_id: str | None
    ) -> None:
        state, name = self.state, segment.name
        holds, until_ms = after
        if holds and before[0]:
            state.members[name] = msgspec.structs.replace(state.members[name], leaves_at_ms=until_ms)
            self._served_changed = True
        elif holds:
            state.pending.pop(name, None)
            self._enter(segment, until_ms, cause, message_id)
        else:
            if before[0]:
                self._exit(name, cause, message_id)
            state.pending.pop(name, None)
            if until_ms < NEVER:
                state.pending[name] = until_ms

    def _enter(self, segment: Segment, until_ms: int, cause: Cause, message_id: str | None) -> None:
        self.state.members[segment.name] = Member(self.state.clock_ms, until_ms, segment.version)
        self._add_change(segment.name, segment.version, "entered", until_ms, cause, message_id)

    def _exit(self, name: str, cause: Cause, message_id: str | None) -> None:
        member = self.state.members.pop(name)
        self._add_change(name, member.segment_version, "exited", NEVER, cause, message_id)

    def _add_change(
        self,
        name: str,
        segment_version: str,
        change: Any,
        until_ms: int,
        cause: Cause,
        message_id: str | None,
    ) -> None:
        state = self.state
        state.version += 1
        at_ms = state.clock_ms
        self._changes.append(
            Change(
                change_id=change_id(self.profile_id, name, change, at_ms, message_id, segment_version),
                profile_id=self.profile_id,
                segment=name,
                change=change,
                event_time_ms=at_ms,
                processed_at_ms=self._now_ms,
                expires_at_ms=optional(until_ms),
                profile_version=state.version,
                segment_version=segment_version,
                cause=cause,
                message_id=message_id,
                correction=cause == "late_event",
            )
        )

    # Rules, bounds, what comes out

    def _follow_rules(self) -> None:
        """Brings a state that was last decided under other rules to these, at its clock."""
        state, rules = self.state, self.rules
        if state.rules_version == rules.version:
            return
        state.rules_version = rules.version
        if self.is_empty:
            return
        state.memories = {key: memory for key, memory in state.memories.items() if key in rules.kinds}
        state.verdicts = {}
        state.pending = {}
        for name, member in list(state.members.items()):
            segment = rules.segment_by_name.get(name)
            if segment is None or segment.version != member.segment_version:
                self._exit(name, "rules", None)
        for leaf in rules.leaves.values():
            if leaf.kind.key in state.memories:
                self._judge(leaf, self._memory(leaf.kind), set())
        self._settle({segment.index for segment in rules.segments}, "rules", None)
        self._set_deadline()
        state.measures = {}
        self._update_measures(rules.measures)
        self._served_changed = True

    def _bound_size(self, cause: Cause, message_id: str | None) -> None:
        """Keeps the encoded state below its bound: the older rows of the largest memory go first."""
        if self._bytes_at_most < MAX_STATE_BYTES:
            return
        state = self.state
        while (size := len(states.encode(state))) >= MAX_STATE_BYTES and state.memories:
            sizes = {key: len(_encode_memory(memory)) for key, memory in state.memories.items()}
            largest = max(sizes, key=sizes.__getitem__)
            kind = self.rules.kinds[largest]
            memory = self._memory(kind)
            dropped = kind.shrink(memory)
            if dropped == 0:
                del state.memories[largest]
                memory = kind.fresh()
            self._dropped_events += dropped or 1
            affected: set[int] = set()
            for leaf in self.rules.leaves_of_kind.get(largest, ()):
                self._judge(leaf, memory, affected)
            self._settle(affected, cause, message_id)
            self._set_deadline()
            self._update_measures([name for name, measure in self.rules.measures.items() if measure is kind])
            self._served_changed = True
        self._bytes_at_most = size + self.rules.decision_bytes

    def _outcome(self, late: bool) -> Outcome:
        changes, snapshot = self._changes, None
        if changes or self._served_changed:
            if not changes or self.state.version != changes[-1].profile_version:
                self.state.version += 1
            snapshot = self._snapshot()
        dropped = self._dropped_events
        self.state.dropped_events += dropped
        self._changes, self._served_changed, self._dropped_events = [], False, 0
        return Outcome(changes, snapshot, late=late, dropped_events=dropped)

    def _snapshot(self) -> Snapshot:
        state, rules = self.state, self.rules
        if not self.is_empty:
            return served.snapshot_of(self.profile_id, state, rules, self._memory, self._now_ms)
        at_ms = self._changes[-1].event_time_ms if self._changes else self._now_ms
        return Snapshot(self.profile_id, state.version, rules.version, at_ms, self._now_ms, deleted=True)

    def _update_measures(self, touched: Iterable[str]) -> None:
        if served.update_measures(self.state, self.rules, self._memory, touched):
            self._served_changed = True

    def _fresh_state(self) -> State:
        return State(self._now_ms * VERSIONS_PER_MS, -NEVER, -NEVER, self.rules.version)


def open_profile(
    profile_id: str, rules: Rules, profile_ttl_ms: int, encoded: bytes | None, now_ms: int
) -> Profile:
    """Returns the profile in encoded state; None begins a new one."""
    state = None if encoded is None else states.decode(encoded)
    return Profile(profile_id, rules, profile_ttl_ms, state, now_ms, len(encoded or b""))
