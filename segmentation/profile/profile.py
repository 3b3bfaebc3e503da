"""The profile: applies events, lets time run, and returns the membership changes.

All results are functions of the state, the event and the rules. The processing time `now_ms` is only recorded in the
results, and it is the base of a new state's version.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from segmentation.events import Event
from segmentation.memberships import TIME, Change, Snapshot, Trigger
from segmentation.profile import snapshot as snapshots
from segmentation.profile import state as states
from segmentation.profile.decisions import Decisions
from segmentation.profile.size import most_growth_bytes, shrink
from segmentation.profile.state import MAX_STATE_BYTES, State
from segmentation.profile.versions import first_version, next_version
from segmentation.rules.compiled import Rules
from segmentation.rules.expectations import SkippedValue
from segmentation.timestamps import MAX_MS, NEVER

DEFAULT_PROFILE_TTL_MS = 400 * 86_400_000
_RULES = Trigger("rules")
_FORGOTTEN = Trigger("forgotten")
_encode_memory = msgspec.msgpack.Encoder().encode


class Outcome(NamedTuple):
    """The results of an event, or of time."""

    changes: list[Change]
    snapshot: Snapshot | None
    late: bool = False
    repeated: bool = False
    differs: bool = False
    """Whether a repeated event had another content than the first one of its message id."""
    dropped_events: int = 0
    skipped_values: Sequence[SkippedValue] = ()
    """The values of the event that conditions skip, because they are not of the type that is needed."""
    momentary_memberships: int = 0
    """The number of memberships that the changes end at the instant at which they began."""


class Profile:
    """One profile: its state and the rules that apply to it."""

    def __init__(
        self,
        profile_id: str,
        rules: Rules,
        profile_ttl_ms: int,
        state: State | None,
        now_ms: int,
        state_bytes: int = 0,
    ) -> None:
        """`state` can be of other rules, and was decoded from `state_bytes` bytes; None creates a new state."""
        self.profile_id = profile_id
        self.rules = rules
        self._ttl_ms = max(profile_ttl_ms, rules.longest_window_ms)
        self._now_ms = now_ms
        self.state = state or self._fresh_state()
        self._decisions = Decisions(profile_id, rules, self.state, now_ms)
        self._max_bytes = state_bytes + rules.decision_bytes  # no less than the encoded state takes
        self._snapshot_differs = False
        self._dropped: Counter[int] = Counter()  # by time, so that what several memories drop counts once
        self._skipped_values: Sequence[SkippedValue] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the profile has no event, so that there is nothing to store."""
        return self.state.last_event_ms == -NEVER

    def apply(self, event: Event) -> Outcome:
        """Applies one event. A repeat changes nothing."""
        state = self.state
        digest = states.digest_of(event.message_id)
        if states.is_recent(state.recent_messages, digest):
            differs = states.has_other_content(state, digest, event.content_digest)
            return Outcome([], None, repeated=True, differs=differs)
        self._follow_rules()
        late = event.timestamp_ms < state.profile_time_ms
        if not late:
            self._run_to(event.timestamp_ms - 1)
        trigger = Trigger("late_event" if late else "event", event.message_id)
        self._add_event(event, digest, trigger)
        self._bound_size(trigger)
        return self._outcome(late)

    def advance(self, t_ms: int) -> Outcome:
        """Lets time run to an instant: each change that is due until then happens at its own time."""
        self._follow_rules()
        self._run_to(t_ms)
        self._bound_size(TIME)
        return self._outcome(late=False)

    def deadline(self) -> int:
        """Returns the next instant at which something can change by time alone; NEVER if nothing can."""
        return self.state.deadline_ms

    def encode(self) -> bytes:
        """Returns the state as bytes."""
        return states.encode(self.state)

    # Time

    def _run_to(self, t_ms: int) -> None:
        while (deadline_ms := self.state.deadline_ms) <= t_ms:
            forgotten_at_ms = self._forgotten_at_ms()
            if deadline_ms == forgotten_at_ms:
                self._forget(deadline_ms)
                return
            self.state.profile_time_ms = deadline_ms
            # with a shorter TTL than before, the deadline can be later than the instant of forgetting
            self._decisions.decide_due(max(deadline_ms, min(t_ms, forgotten_at_ms - 1)), TIME)
            self._set_deadline()

    def _set_deadline(self) -> None:
        self.state.deadline_ms = self._decisions.due_at_ms(self._forgotten_at_ms())

    def _forgotten_at_ms(self) -> int:
        at_ms = self.state.last_event_ms + self._ttl_ms
        return at_ms if at_ms <= MAX_MS else NEVER

    def _forget(self, t_ms: int) -> None:
        # with a shorter TTL than before, t_ms can be in the past
        self.state.profile_time_ms = max(self.state.profile_time_ms, t_ms)
        for name in list(self.state.members):
            self._decisions.exit(name, _FORGOTTEN)
        fresh = self._fresh_state()
        fresh.version = max(fresh.version, self.state.version)
        fresh.was_served = self.state.was_served
        self.state = fresh
        self._decisions.restart(fresh)
        self._snapshot_differs = True

    # Events

    def _add_event(self, event: Event, digest: bytes, trigger: Trigger) -> None:
        state, decisions = self.state, self._decisions
        is_first = self.is_empty
        time_ms = event.timestamp_ms
        states.add_message(state, digest, event.content_digest)
        if event.has_user_id and not state.has_user_id:
            state.has_user_id = True
            self._snapshot_differs |= state.was_served  # the key of a user lives longer
        state.last_event_ms = max(state.last_event_ms, time_ms)
        state.profile_time_ms = profile_time_ms = max(state.profile_time_ms, time_ms)
        affected = set(self.rules.decided_by_first_event) if is_first else set()
        self._snapshot_differs |= is_first  # an earlier state's snapshot can still be served
        touched_measures: list[str] = []
        name, affected_memories = event.name, self.rules.affected_by(event.name)
        message = event.message if affected_memories.memories else {}
        self._skipped_values = self.rules.expectations.skipped(name, message)
        self._max_bytes += most_growth_bytes(affected_memories, len(event.payload))
        for kind, leaves, measures, is_served in affected_memories.memories:
            found = kind.extract(name, message)
            if found is None:
                continue
            memory = states.memory_of(state, kind)
            state.memories[kind.key] = memory
            # as bytes, because the memory changes in place, and 1, 1.0 and true are equal but differ in a snapshot
            before = _encode_memory(kind.public_value(memory)) if is_served else None
            if dropped := kind.add(memory, event, found, profile_time_ms):
                self._dropped |= Counter(dropped)
            for leaf in leaves:
                decisions.update_verdict(leaf, memory, affected)
            touched_measures += measures
            if before is not None and before != _encode_memory(kind.public_value(memory)):
                self._snapshot_differs = True
        decisions.decide_expired(trigger, affected)
        self._set_deadline()
        self._update_measures(touched_measures)

    # Rules, bounds, results

    def _follow_rules(self) -> None:
        """Decides a state of other rules under these, at its profile time."""
        state, rules, decisions = self.state, self.rules, self._decisions
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
                decisions.exit(name, _RULES)
        for leaf in rules.leaves.values():
            if leaf.kind.key in state.memories:
                decisions.update_verdict(leaf, decisions.memory(leaf.kind), set())
        decisions.decide({segment.index for segment in rules.segments}, _RULES)
        self._set_deadline()
        state.measures = {}
        self._update_measures(rules.measures)
        self._snapshot_differs = True

    def _bound_size(self, trigger: Trigger) -> None:
        """Keeps the encoded state below its bound, and decides the segments that this affects."""
        if self._max_bytes < MAX_STATE_BYTES:
            return
        for shrunk in shrink(self._decisions):
            self._dropped |= Counter(shrunk.dropped)
            affected: set[int] = set()
            for leaf in self.rules.leaves_of_kind.get(shrunk.kind.key, ()):
                self._decisions.update_verdict(leaf, shrunk.memory, affected)
            self._decisions.decide(affected, trigger)
            self._set_deadline()
            self._update_measures(
                [name for name, measure in self.rules.measures.items() if measure is shrunk.kind]
            )
            self._snapshot_differs = True
        self._max_bytes = len(self.encode()) + self.rules.decision_bytes

    def _outcome(self, late: bool) -> Outcome:
        decisions, state = self._decisions, self.state
        changes, snapshot = decisions.changes, None
        if changes or self._snapshot_differs or decisions.snapshot_differs:
            if not changes or state.version != changes[-1].profile_version:
                state.version = next_version(state.version)
            snapshot = self._snapshot()
            state.was_served = not (snapshot.is_empty or snapshot.deleted) or state.was_served
            self._snapshot_differs = decisions.snapshot_differs = False
        decisions.changes = []
        momentary, decisions.momentary_memberships = decisions.momentary_memberships, 0
        dropped = self._dropped.total()
        if dropped:
            state.dropped_events += dropped
            self._dropped = Counter()
        skipped, self._skipped_values = self._skipped_values, ()
        return Outcome(
            changes,
            snapshot,
            late,
            dropped_events=dropped,
            skipped_values=skipped,
            momentary_memberships=momentary,
        )

    def _snapshot(self) -> Snapshot:
        state, rules, decisions = self.state, self.rules, self._decisions
        if not self.is_empty:
            return snapshots.snapshot_of(self.profile_id, state, rules, decisions.memory, self._now_ms)
        at_ms = decisions.changes[-1].event_time_ms if decisions.changes else self._now_ms
        return Snapshot(
            self.profile_id,
            state.version,
            rules.version,
            at_ms,
            self._now_ms,
            deleted=True,
            was_served=state.was_served,
        )

    def _update_measures(self, touched: Iterable[str]) -> None:
        if snapshots.update_measures(self.state, self.rules, self._decisions.memory, touched):
            self._snapshot_differs = True

    def _fresh_state(self) -> State:
        return State(
            first_version(self._now_ms),
            -NEVER,
            -NEVER,
            self.rules.version,
            has_user_id=False,
            was_served=False,
        )


def open_profile(
    profile_id: str, rules: Rules, profile_ttl_ms: int, encoded: bytes | None, now_ms: int
) -> Profile:
    """Returns the profile of an encoded state; None creates a new one."""
    state = None if encoded is None else states.decode(encoded)
    return Profile(profile_id, rules, profile_ttl_ms, state, now_ms, len(encoded or b""))
