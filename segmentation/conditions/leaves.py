"""The leaves of conditions. Each tests one memory, and its deadline is exact."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise

from segmentation.conditions.tree import Future, Leaf
from segmentation.matching.predicates import Predicate, tolerance
from segmentation.memories.measures import Count, Distinct, Measure
from segmentation.memories.measures.measure import Timeline
from segmentation.memories.memory import Memory
from segmentation.memories.scores import Score
from segmentation.memories.sequences import Sequence as EventSequence
from segmentation.memories.traits import Trait
from segmentation.timestamps import NEVER


class MeasureLeaf(Leaf):
    """A test of a measure's value."""

    def __init__(self, key: int, kind: Measure, passes: Predicate) -> None:
        self._timeline = kind.timeline
        self._passes = passes
        super().__init__(key, kind)

    def future_of_memory(self, memory: Memory, t_ms: int) -> Future:
        return _future_of_test(self._passes, self._timeline(memory, t_ms))


class CountLeaf(Leaf):
    """A test of the number of events, or of distinct values, in a window; the newest `limit` of them decide it."""

    def __init__(self, key: int, kind: Count | Distinct, passes: Predicate) -> None:
        assert kind.limit is not None
        self._window_ms = kind.window_ms
        self._passes = [passes(count) for count in range(kind.limit + 1)]
        differs = [less != more for less, more in pairwise(self._passes)]
        # the counts whose verdict differs from that of the next smaller count, descending; and how many are at most n
        self._turns = [count for count in range(kind.limit, 0, -1) if differs[count - 1]]
        self._turns_until = [0, *accumulate(differs)]
        super().__init__(key, kind)

    def future_of_memory(self, memory: Memory, t_ms: int) -> Future:
        times = memory[0]
        window_ms = self._window_ms
        count = len(times)
        if times and times[0] <= t_ms - window_ms:
            count -= bisect_right(times, t_ms - window_ms)
        turns = self._turns_until[count]
        if not turns:
            return self._passes[count], ()
        if turns == 1:  # such as every `at_least`
            return self._passes[count], (times[-self._turns[-1]] + window_ms,)
        changes = [times[-turn] + window_ms for turn in self._turns[-turns:]]
        if len(set(changes)) < turns:
            # rows that share a timestamp expire together, so that an even number of changes is none
            changes = [change for change, same in groupby(changes) if len(list(same)) & 1]
        return self._passes[count], changes


class SequenceLeaf(Leaf):
    """A test of whether the events contain the sequence."""

    def __init__(self, key: int, kind: EventSequence) -> None:
        self._changes = kind.changes
        super().__init__(key, kind)

    def future_of_memory(self, memory: Memory, t_ms: int) -> Future:
        changes = self._changes(memory)
        passed = bisect_right(changes, t_ms)
        return passed & 1 == 1, changes[passed:]


class TraitLeaf(Leaf):
    """A test of a trait."""

    def __init__(self, key: int, kind: Trait, passes: Predicate) -> None:
        self._passes = passes
        super().__init__(key, kind)

    def future_of_memory(self, memory: Memory, t_ms: int) -> Future:
        return self._passes(memory[2] if memory else None), ()


class ScoreLeaf(Leaf):
    """A test of a score."""

    def __init__(self, key: int, kind: Score, passes: Predicate, operands: Sequence[float]) -> None:
        self._score = kind
        self._passes = passes
        self._bounds = sorted({x + sign * tolerance(x) for x in operands for sign in (-1, 1)})
        super().__init__(key, kind)

    def future_of_memory(self, memory: Memory, t_ms: int) -> Future:
        if len(memory) < 2:
            return self._passes(0.0), ()
        return _future_of_test(self._passes, self._score.timeline(memory, t_ms, self._bounds))


def _future_of_test(passes: Predicate, timeline: Timeline) -> Future:
    """Returns the future of a test of a value."""
    holds = then_holds = passes(next(timeline)[1])
    changes: list[int] = []
    for instant_ms, value in timeline:
        if passes(value) == then_holds or instant_ms >= NEVER:
            continue
        then_holds = not then_holds
        if changes and changes[-1] == instant_ms:
            changes.pop()  # the last value of an instant counts: rows that share a timestamp expire together
        else:
            changes.append(instant_ms)
    return holds, changes
