"""A profile's verdicts at the profile time, and at later instants if no further event comes."""

from segmentation.conditions.tree import Leaf, Verdict
from segmentation.profile.futures import ProfileFutures
from segmentation.profile.state import State
from segmentation.rules.compiled import Rules, Segment
from segmentation.timestamps import NEVER


class ProfileInstants:
    """The verdicts of one profile, now and later. They are cached, so nothing is evaluated twice for an instant."""

    def __init__(self, state: State, rules: Rules, futures: ProfileFutures) -> None:
        self.now = _Now(state, rules, futures)
        self._segments = rules.segments
        self._futures = futures
        self._later: dict[int, _Later] = {}

    def at(self, t_ms: int) -> "_Later":
        """Returns the verdicts at an instant after the profile time."""
        view = self._later.get(t_ms)
        if view is None:
            view = self._later[t_ms] = _Later(self.now, self._segments, self._futures, t_ms)
        return view

    def next_change(self, segment: Segment) -> Verdict:
        """Returns whether a segment's condition is true now, and the exact instant at which that changes."""
        verdict = self._futures.segment_now(segment.index)
        if verdict is not None:
            return verdict
        index, condition = segment.index, segment.condition
        holds, until = condition.verdict(self.now)
        while until < NEVER:
            then_holds, then_until = self._futures.segment_at(index, until) or condition.verdict(
                self.at(until)
            )
            if then_holds != holds:
                break
            until = then_until
        return holds, until


def decided(state: State, segment: Segment) -> Verdict:
    """Returns the last decided verdict of a segment."""
    member = state.members.get(segment.name)
    if member is not None:
        return True, member.leaves_at_ms
    return False, state.pending.get(segment.name, NEVER)


class _Now:
    """The verdicts at the profile time, which are in the state, or are computed if those in the state have expired."""

    def __init__(self, state: State, rules: Rules, futures: ProfileFutures) -> None:
        self._state = state
        self._segments = rules.segments
        self._futures = futures

    def leaf(self, leaf: Leaf) -> Verdict:
        verdict = self._state.verdicts.get(leaf.key) or leaf.when_empty
        if verdict[1] <= self._state.profile_time_ms:
            verdict = self._futures.leaf_at(leaf, self._state.profile_time_ms)
        return verdict

    def segment(self, index: int) -> Verdict:
        return decided(self._state, self._segments[index])


class _Later:
    """The verdicts at a later instant. A verdict of now that is still valid then is used again.

    It has no reference to `ProfileInstants`, because a cycle would keep whole states in memory until the garbage
    collector runs.
    """

    def __init__(self, now: _Now, segments: list[Segment], futures: ProfileFutures, t_ms: int) -> None:
        self._now = now
        self._segments = segments
        self._futures = futures
        self._t_ms = t_ms
        self._leaf_verdicts: dict[int, Verdict] = {}
        self._segment_verdicts: dict[int, Verdict] = {}

    def leaf(self, leaf: Leaf) -> Verdict:
        verdict = self._leaf_verdicts.get(leaf.key)
        if verdict is None:
            verdict = self._now.leaf(leaf)
            if verdict[1] <= self._t_ms:
                verdict = self._futures.leaf_at(leaf, self._t_ms)
            self._leaf_verdicts[leaf.key] = verdict
        return verdict

    def segment(self, index: int) -> Verdict:
        verdict = self._segment_verdicts.get(index)
        if verdict is None:
            verdict = self._now.segment(index)
            if verdict[1] <= self._t_ms:
                verdict = self._futures.segment_at(index, self._t_ms) or self._segments[
                    index
                ].condition.verdict(self)
            self._segment_verdicts[index] = verdict
        return verdict
