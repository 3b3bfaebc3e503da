"""Conditions: a verdict says whether a condition holds at an instant, and until when that stays so.

Of a leaf the deadline is exact. `all` and `any` combine deadlines; theirs may come early (when the first of
several true conditions of an `any` ends), never late. `next_change` walks on from such a deadline.
"""

from collections.abc import Sequence
from typing import Protocol

from segmentation.memories.memory import Memory, MemoryKind
from segmentation.timestamps import NEVER

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
