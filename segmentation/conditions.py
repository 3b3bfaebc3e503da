"""Conditions: a verdict says whether a condition holds at an instant, and until when that stays so.

Of a leaf the deadline is exact. `all` and `any` combine deadlines; theirs may come early (when the first of
several true conditions of an `any` ends), never late. `next_change` walks on from such a deadline.
"""

from collections.abc import Sequence
from typing import Protocol

from segmentation.measures import Count, Distinct, Measure, settled
from segmentation.memory import Memory, MemoryKind
from segmentation.predicates import Predicate, tolerance
from segmentation.scores import Score
from segmentation.sequences import Sequence as EventSequence
from segmentation.timestamps import NEVER
from segmentation.traits import Trait

Verdict = tuple[bool, int]
"""(holds, until): until is an instant in milliseconds since the epoch; NEVER: it stays so for ever."""


class Instant(Protocol):
    """The view of one profile at one instant, if no further event comes."""

    def leaf(self, leaf: "Leaf") -> Verdict:
        """Returns the verdict of a leaf."""

    def segment(self, index: int) -> Verdict:
        """Returns the verdict of a segment, by its index in the rules."""


class Condition(Protocol):
    """Anything that has a verdict at an instant."""

    def verdict(self, instant: Instant) -> Verdict:
        """Returns the verdict at the instant."""


def next_change(condition: Condition, instants: "Instants") -> Verdict:
    """Returns whether a condition holds now, and the exact instant at which that changes, NEVER if never."""
    holds, until = condition.verdict(instants.now)
    while until < NEVER:
        then_holds, then_until = condition.verdict(instants.at(until))
        if then_holds != holds:
            break
        until = then_until
    return holds, until


class Instants(Protocol):
    """The views of one profile, now and later."""

    @property
    def now(self) -> Instant:
        """The view at the profile's clock."""

    def at(self, t_ms: int) -> Instant:
        """Returns the view at an instant after now."""


class All:
    """True while every condition is."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions

    def verdict(self, instant: Instant) -> Verdict:
        until_true, until_false = NEVER, -1
        for condition in self._conditions:
            holds, until = condition.verdict(instant)
            if holds:
                until_true = min(until_true, until)
            elif until == NEVER:
                return False, NEVER
            else:
                until_false = max(until_false, until)
        return (True, until_true) if until_false < 0 else (False, until_false)


class Any_:
    """True while some condition is."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions

    def verdict(self, instant: Instant) -> Verdict:
        until_true, until_false = -1, NEVER
        for condition in self._conditions:
            holds, until = condition.verdict(instant)
            if not holds:
                until_false = min(until_false, until)
            elif until == NEVER:
                return True, NEVER
            else:
                until_true = max(until_true, until)
        return (False, until_false) if until_true < 0 else (True, until_true)


class Not:
    """True while a condition is not."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def verdict(self, instant: Instant) -> Verdict:
        holds, until = self._condition.verdict(instant)
        return not holds, until


class SegmentReference:
    """True while another segment's condition is."""

    def __init__(self, index: int) -> None:
        self._index = index

    def verdict(self, instant: Instant) -> Verdict:
        return instant.segment(self._index)


class Leaf:
    """A test on one memory; its verdict is kept with the profile, by a key that is a hash of its content."""

    def __init__(self, key: int, kind: MemoryKind) -> None:
        self.key = key
        self.kind = kind
        self.when_empty = self.of_memory(kind.fresh(), 0)
        """The verdict without any event."""

    def verdict(self, instant: Instant) -> Verdict:
        """Returns the verdict at the instant."""
        return instant.leaf(self)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        """Returns the verdict at an instant not before the latest event of the memory."""
        raise NotImplementedError


class MeasureLeaf(Leaf):
    """A test on the value of a measure."""

    def __init__(self, key: int, kind: Measure, passes: Predicate) -> None:
        self._timeline = kind.timeline
        self._passes = passes
        super().__init__(key, kind)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        timeline = settled(self._timeline(memory, t_ms))
        holds = self._passes(next(timeline)[1])
        for instant_ms, value in timeline:
            if instant_ms >= NEVER:
                break
            if self._passes(value) != holds:
                return holds, instant_ms
        return holds, NEVER


class CountLeaf(Leaf):
    """A test on how many events, or different values, a window has, decided by the newest `limit` of them."""

    def __init__(self, key: int, kind: Count | Distinct, passes: Predicate) -> None:
        assert kind.limit is not None
        self._window_ms = kind.window_ms
        self._passes = [passes(count) for count in range(kind.limit + 1)]
        # for each count the nearest smaller one at which the verdict differs, -1 if there is none
        self._next_count = [
            next((less for less in range(count - 1, -1, -1) if self._passes[less] != holds), -1)
            for count, holds in enumerate(self._passes)
        ]
        super().__init__(key, kind)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        times = memory[0]
        expired_ms = t_ms - self._window_ms
        count = len(times)
        if times and times[0] <= expired_ms:
            count = sum(time_ms > expired_ms for time_ms in times)
        holds = self._passes[count]
        while (next_count := self._next_count[count]) >= 0:
            expiring_ms = times[-next_count - 1]
            count = next_count
            while count and times[-count] == expiring_ms:  # what came at one instant goes at one instant
                count -= 1
            if self._passes[count] != holds:
                return holds, expiring_ms + self._window_ms
        return holds, NEVER


class SequenceLeaf(Leaf):
    """Whether some instance of a sequence exists."""

    def __init__(self, key: int, kind: EventSequence) -> None:
        self._spans = kind.spans
        super().__init__(key, kind)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        for begin_ms, end_ms in self._spans(memory):
            if t_ms < begin_ms:
                return False, begin_ms
            if t_ms < end_ms:
                return True, end_ms
        return False, NEVER


class TraitLeaf(Leaf):
    """A test on a trait."""

    def __init__(self, key: int, kind: Trait, passes: Predicate) -> None:
        self._passes = passes
        super().__init__(key, kind)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        return self._passes(memory[2] if memory else None), NEVER


class ScoreLeaf(Leaf):
    """A test on a score."""

    def __init__(self, key: int, kind: Score, passes: Predicate, operands: Sequence[float]) -> None:
        self._score = kind
        self._passes = passes
        self._bounds = sorted({x + sign * tolerance(x) for x in operands for sign in (-1, 1)})
        super().__init__(key, kind)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        if len(memory) < 2:
            return self._passes(0.0), NEVER
        holds = self._passes(self._score.value_at(memory, t_ms))
        for instant_ms in self._score.crossings(memory, t_ms, self._bounds):
            if self._passes(self._score.value_at(memory, instant_ms)) != holds:
                return holds, instant_ms
        return holds, NEVER
