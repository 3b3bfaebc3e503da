"""Decides a profile's verdicts and memberships at the profile time, and records the changes."""

import heapq
from typing import Literal

import msgspec

from segmentation.conditions.tree import Leaf, Verdict
from segmentation.memberships import Change, Trigger, change_id
from segmentation.memories.memory import Memory, MemoryKind
from segmentation.profile.futures import ProfileFutures
from segmentation.profile.instants import ProfileInstants, decided
from segmentation.profile.state import Member, State, memory_of
from segmentation.profile.versions import next_version
from segmentation.rules.compiled import Rules, Segment
from segmentation.timestamps import MAX_MS, NEVER, optional


class Decisions:
    """Decides one profile's segments at its profile time.

    Args:
      profile_id: the profile's id, for the changes.
      rules: the rules to evaluate.
      state: the profile's state; it is modified in place.
      now_ms: the processing time of the changes, in Unix milliseconds.
    """

    def __init__(self, profile_id: str, rules: Rules, state: State, now_ms: int) -> None:
        self.profile_id = profile_id
        self.rules = rules
        self.state = state
        self.changes: list[Change] = []
        """The changes, in order, until the caller takes them."""
        self.momentary_memberships = 0
        """The number of memberships that `changes` end at the instant at which they began."""
        self.snapshot_differs = False
        """Whether the snapshot differs from the last one in an `expires_at`, even if there is no change."""
        self._now_ms = now_ms
        self._futures = ProfileFutures(state, rules)

    def restart(self, state: State) -> None:
        """Continues with another state."""
        self.state = state
        self._futures = ProfileFutures(state, self.rules)

    def memory(self, kind: MemoryKind) -> Memory:
        """Returns the profile's memory of a kind, decoded at the first use; a fresh one if the profile has none."""
        return memory_of(self.state, kind)

    def update_verdict(self, leaf: Leaf, memory: Memory | None, affected: set[int]) -> None:
        """Updates the verdict of a leaf, and adds the segments whose verdict that can change to `affected`.

        `memory`: the leaf's memory if that has changed; None if only time has passed.
        """
        if memory is None:
            after = self._futures.leaf_at(leaf, self.state.profile_time_ms)
        else:
            after = self._futures.update_leaf(leaf, memory)
        verdicts = self.state.verdicts
        before = verdicts.get(leaf.key, leaf.when_empty)
        if after == before and after[1] == NEVER:
            return  # with a deadline, verdicts after it can have changed although this one has not
        if after == leaf.when_empty:
            verdicts.pop(leaf.key, None)
        else:
            verdicts[leaf.key] = after
        affected.update(self.rules.segments_of_leaf.get(leaf.key, ()))

    def decide_expired(self, trigger: Trigger, affected: set[int]) -> None:
        """Decides the segments in `affected`, and those whose verdicts have expired at the profile time."""
        self._update_expired(affected)
        if affected:
            self.decide(affected, trigger)

    def decide_due(self, until_ms: int, trigger: Trigger) -> None:
        """Decides what is due until an instant, each at its own time, which becomes the profile time.

        Only time passes, and the deadline of every segment is exact, so that no other segment is affected.
        """
        state, rules = self.state, self.rules
        due = [
            (member.leaves_at_ms, rules.segment_by_name[name].index)
            for name, member in state.members.items()
            if member.leaves_at_ms <= until_ms
        ]
        due += [
            (entered_at_ms, rules.segment_by_name[name].index)
            for name, entered_at_ms in state.pending.items()
            if entered_at_ms <= until_ms
        ]
        heapq.heapify(due)  # by index within an instant: each segment after those that it refers to
        instants = ProfileInstants(state, rules, self._futures)
        while due:
            at_ms, index = heapq.heappop(due)
            if at_ms > state.profile_time_ms:
                state.profile_time_ms = at_ms
                instants = ProfileInstants(state, rules, self._futures)
            segment = rules.segments[index]
            self._decide_one(segment, instants, trigger)
            next_ms = decided(state, segment)[1]
            if next_ms <= until_ms:
                heapq.heappush(due, (next_ms, index))
        self._update_expired(set())

    def decide(self, affected: set[int], trigger: Trigger) -> None:
        """Decides the affected segments, each after the segments that it refers to."""
        rules = self.rules
        instants = ProfileInstants(self.state, rules, self._futures)
        queue = sorted(affected)
        while queue:
            index = heapq.heappop(queue)
            if self._decide_one(rules.segments[index], instants, trigger):
                for referring in rules.referring.get(index, ()):
                    if referring not in affected:
                        affected.add(referring)
                        heapq.heappush(queue, referring)

    def exit(self, name: str, trigger: Trigger) -> None:
        """Ends the profile's membership of a segment that it is in."""
        member = self.state.members.pop(name)
        self.momentary_memberships += member.entered_at_ms == self.state.profile_time_ms
        self._add_change(name, member.segment_version, "exited", NEVER, trigger)

    def due_at_ms(self, due_at_ms: int) -> int:
        """Returns the next instant at which a decision changes by time alone; `due_at_ms` if none does before it."""
        state = self.state
        for member in state.members.values():
            if member.leaves_at_ms < due_at_ms:
                due_at_ms = member.leaves_at_ms
        for entered_at_ms in state.pending.values():
            if entered_at_ms < due_at_ms:
                due_at_ms = entered_at_ms
        return due_at_ms

    def _update_expired(self, affected: set[int]) -> None:
        """Updates the verdicts that have expired at the profile time; see `update_verdict`."""
        state, rules = self.state, self.rules
        profile_time_ms = state.profile_time_ms
        for key in [key for key, (_, until_ms) in state.verdicts.items() if until_ms <= profile_time_ms]:
            self.update_verdict(rules.leaves[key], None, affected)

    def _decide_one(self, segment: Segment, instants: ProfileInstants, trigger: Trigger) -> bool:
        """Decides a segment; returns whether its verdict, now or at a later instant, can differ from before."""
        before = decided(self.state, segment)
        holds, until_ms = instants.next_change(segment)
        after = (holds, until_ms if until_ms <= MAX_MS else NEVER)
        if after != before:
            self._record(segment, before, after, trigger)
        return after != before or until_ms < NEVER

    def _record(self, segment: Segment, before: Verdict, after: Verdict, trigger: Trigger) -> None:
        state, name = self.state, segment.name
        holds, until_ms = after
        if holds and before[0]:
            state.members[name] = msgspec.structs.replace(state.members[name], leaves_at_ms=until_ms)
            self.snapshot_differs = True
        elif holds:
            state.pending.pop(name, None)
            self._enter(segment, until_ms, trigger)
        else:
            if before[0]:
                self.exit(name, trigger)
            state.pending.pop(name, None)
            if until_ms < NEVER:
                state.pending[name] = until_ms

    def _enter(self, segment: Segment, until_ms: int, trigger: Trigger) -> None:
        self.state.members[segment.name] = Member(self.state.profile_time_ms, until_ms, segment.version)
        self._add_change(segment.name, segment.version, "entered", until_ms, trigger)

    def _add_change(
        self,
        name: str,
        segment_version: str,
        change: Literal["entered", "exited"],
        until_ms: int,
        trigger: Trigger,
    ) -> None:
        state = self.state
        state.version = next_version(state.version)
        at_ms = state.profile_time_ms
        cause, message_id = trigger.cause, trigger.message_id
        self.changes.append(
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
