"""Conditions. A verdict is whether a condition is true at an instant, and until when it stays so.

The deadline of a leaf is exact. The deadline of `all` and `any` can be early but never late: that of an `any` is early
if the first of several true conditions ends. `ProfileInstants.next_change` continues from an early deadline to the
exact one. A future is exact, but computing it takes all changes that are still to come.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from segmentation.memories.memory import Memory, MemoryKind
from segmentation.timestamps import NEVER

Verdict = tuple[bool, int]
"""(holds, until): `until` is an instant in Unix milliseconds; NEVER if no instant changes it."""

Future = tuple[bool, Sequence[int]]
"""(holds, changes): whether a condition is true at an instant, and the later instants at which that changes if no event
comes, ascending.
"""


def verdict_at(future: Future, t_ms: int) -> Verdict:
    """Returns the verdict at an instant, which must not be before that of the future."""
    holds, changes = future
    passed = bisect_right(changes, t_ms)
    return holds ^ (passed & 1 == 1), changes[passed] if passed < len(changes) else NEVER


class Instant(Protocol):
    """The verdicts of one profile at one instant, if no further event comes."""

    def leaf(self, leaf: "Leaf") -> Verdict:
        """Returns the verdict of a leaf at this instant."""

    def segment(self, index: int) -> Verdict:
        """Returns the verdict of a segment at this instant, by its index in the rules."""


class Condition(Protocol):
    """An expression that is true or false of a profile at an instant."""

    def verdict(self, instant: Instant) -> Verdict:
        """Returns the verdict at the instant."""

    def future(self, futures: "Futures") -> Future:
        """Returns the future, from those of the leaves and segments."""


class Futures(Protocol):
    """The futures of one profile."""

    def of_leaf(self, leaf: "Leaf") -> Future:
        """Returns the future of a leaf."""

    def of_segment(self, index: int) -> Future:
        """Returns the future of a segment, by its index in the rules."""


class All:
    """True while every condition is true."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions

    def verdict(self, instant: Instant) -> Verdict:
        until_true, until_false = NEVER, -NEVER
        for condition in self._conditions:
            holds, until = condition.verdict(instant)
            if holds:
                until_true = min(until_true, until)
            elif until == NEVER:
                return False, NEVER
            else:
                until_false = max(until_false, until)
        return (True, until_true) if until_false == -NEVER else (False, until_false)

    def future(self, futures: Futures) -> Future:
        opposites = [Not(inner).future(futures) for inner in self._conditions]
        holds, changes = _future_of_any(opposites)
        return not holds, changes


class Any_:
    """True while at least one condition is true."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions

    def verdict(self, instant: Instant) -> Verdict:
        until_true, until_false = -NEVER, NEVER
        for condition in self._conditions:
            holds, until = condition.verdict(instant)
            if not holds:
                until_false = min(until_false, until)
            elif until == NEVER:
                return True, NEVER
            else:
                until_true = max(until_true, until)
        return (False, until_false) if until_true == -NEVER else (True, until_true)

    def future(self, futures: Futures) -> Future:
        return _future_of_any([inner.future(futures) for inner in self._conditions])


class Not:
    """True while a condition is false."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def verdict(self, instant: Instant) -> Verdict:
        holds, until = self._condition.verdict(instant)
        return not holds, until

    def future(self, futures: Futures) -> Future:
        holds, changes = self._condition.future(futures)
        return not holds, changes


class SegmentReference:
    """True while another segment's condition is true."""

    def __init__(self, index: int) -> None:
        self._index = index

    def verdict(self, instant: Instant) -> Verdict:
        return instant.segment(self._index)

    def future(self, futures: Futures) -> Future:
        return futures.of_segment(self._index)


class Leaf:
    """A test of one memory. The state has its verdict, under a key that is a hash of its content."""

    def __init__(self, key: int, kind: MemoryKind) -> None:
        self.key = key
        self.kind = kind
        self.when_empty = self.of_memory(kind.fresh(), 0)
        """The verdict if there is no event."""

    def verdict(self, instant: Instant) -> Verdict:
        """Returns the verdict at the instant."""
        return instant.leaf(self)

    def future(self, futures: Futures) -> Future:
        return futures.of_leaf(self)

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        """Returns the verdict at an instant, which must not be before the latest event of the memory."""
        return verdict_at(self.future_of_memory(memory, t_ms), t_ms)

    def future_of_memory(self, memory: Memory, t_ms: int) -> Future:
        """Returns the future from such an instant on. It takes time that is at most linear in the rows."""
        raise NotImplementedError


def _future_of_any(futures: list[Future]) -> Future:
    """Returns the future of a condition that is true while at least one of several is.

    Each condition is true in intervals. At an instant, all of them are false if as many intervals have ended as have
    begun. That is so from the n-th end on, until the begin after the first n. The conditions share two sorted lists,
    because a profile can have very many intervals.
    """
    begins: list[int] = []
    ends: list[int] = []
    for holds, changes in futures:
        if holds:
            begins.append(-NEVER)
        begins += changes[holds::2]
        ends += changes[not holds :: 2]
    begins.sort()
    ends.sort()
    holds = begins[:1] == [-NEVER]
    changes = [] if holds else begins[:1]
    changes += [
        edge for end, begin in zip(ends, begins[1:], strict=False) if end < begin for edge in (end, begin)
    ]
    if len(ends) == len(begins):
        changes += ends[-1:]
    return holds, changes
