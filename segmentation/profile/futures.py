"""The futures of a profile's leaves and segments, which are kept while its memories stay the same."""

from segmentation.conditions.tree import Future, Leaf, Verdict, verdict_at
from segmentation.memories.memory import Memory
from segmentation.profile.state import State, memory_of
from segmentation.rules.compiled import Rules
from segmentation.timestamps import NEVER

MAX_LOOKS = 4
"""How often a segment's condition is evaluated at later instants before its future is computed.

Most changes are found at the first look, which needs fewer memories than the future. A search of many steps, over many
instants, would take time that is quadratic in the rows.
"""


class ProfileFutures:
    """The futures of one profile, computed at their first use."""

    def __init__(self, state: State, rules: Rules) -> None:
        self._state = state
        self._rules = rules
        self._of_leaf: dict[int, Future] = {}
        self._of_segment: dict[int, Future] = {}
        self._looks: dict[int, int] = {}

    def update_leaf(self, leaf: Leaf, memory: Memory) -> Verdict:
        """Returns the verdict of a leaf at the profile time, after a change of its memory."""
        if self._looks:
            self._of_segment.clear()
            self._looks.clear()
        future = self._of_leaf[leaf.key] = leaf.future_of_memory(memory, self._state.profile_time_ms)
        return (future[0], future[1][0]) if future[1] else (future[0], NEVER)

    def leaf_at(self, leaf: Leaf, t_ms: int) -> Verdict:
        """Returns the verdict of a leaf at the profile time or later."""
        return verdict_at(self.of_leaf(leaf), t_ms)

    def segment_at(self, index: int, t_ms: int) -> Verdict | None:
        """Returns the verdict of a segment at a later instant; None if its condition is to be evaluated then."""
        if index not in self._of_segment:
            looks = self._looks[index] = self._looks.get(index, 0) + 1
            if looks <= MAX_LOOKS:
                return None
        return verdict_at(self.of_segment(index), t_ms)

    def segment_now(self, index: int) -> Verdict | None:
        """Returns the exact verdict of a segment at the profile time; None if its future is not known."""
        future = self._of_segment.get(index)
        return None if future is None else verdict_at(future, self._state.profile_time_ms)

    def of_leaf(self, leaf: Leaf) -> Future:
        """Returns the future of a leaf, from the profile time or an earlier time on."""
        future = self._of_leaf.get(leaf.key)
        if future is None:
            memory = memory_of(self._state, leaf.kind)
            future = self._of_leaf[leaf.key] = leaf.future_of_memory(memory, self._state.profile_time_ms)
        return future

    def of_segment(self, index: int) -> Future:
        """Returns the future of a segment, from the profile time or an earlier time on."""
        if index not in self._of_segment:
            for needed in self._unknown(index):
                self._of_segment[needed] = self._rules.segments[needed].condition.future(self)
        return self._of_segment[index]

    def _unknown(self, index: int) -> list[int]:
        """Returns a segment and those that it needs, each after those that it refers to, without recursion."""
        unknown, queue = {index}, [index]
        while queue:
            refers_to = self._rules.segments[queue.pop()].refers_to - self._of_segment.keys() - unknown
            unknown |= refers_to
            queue += refers_to
        return sorted(unknown)
