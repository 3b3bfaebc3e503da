"""Conditions. A verdict is whether a condition is true at an instant, and until when it stays so.

The deadline of a leaf is exact. The deadline of `all` and `any` can be early but never late: that of an `any` is early
if the first of several true conditions ends. `next_change` continues from an early deadline to the exact one.
"""

from collections.abc import Sequence
from typing import Protocol

from segmentation.memories.memory import Memory, MemoryKind
from segmentation.timestamps import NEVER

Verdict = tuple[bool, int]
"""(holds, until): `until` is an instant in Unix milliseconds; NEVER if no instant changes it."""


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


def next_change(condition: Condition, instants: "Instants") -> Verdict:
    """Returns whether a condition is true now, and the exact instant at which that changes; NEVER if it does not."""
    holds, until = condition.verdict(instants.now)
    while until < NEVER:
        then_holds, then_until = condition.verdict(instants.at(until))
        if then_holds != holds:
            break
        until = then_until
    return holds, until


class Instants(Protocol):
    """The verdicts of one profile, now and at later instants."""

    @property
    def now(self) -> Instant:
        """The verdicts at the profile time."""

    def at(self, t_ms: int) -> Instant:
        """Returns the verdicts at a later instant."""


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


class Not:
    """True while a condition is false."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def verdict(self, instant: Instant) -> Verdict:
        holds, until = self._condition.verdict(instant)
        return not holds, until


class SegmentReference:
    """True while another segment's condition is true."""

    def __init__(self, index: int) -> None:
        self._index = index

    def verdict(self, instant: Instant) -> Verdict:
        return instant.segment(self._index)


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

    def of_memory(self, memory: Memory, t_ms: int) -> Verdict:
        """Returns the verdict at an instant, which must not be before the latest event of the memory."""
        raise NotImplementedError
