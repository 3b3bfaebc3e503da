"""Scores: sums of points that events earn, optionally with a half-life."""

from collections.abc import Callable, Iterator, Sequence
from math import fsum, inf, log2
from typing import Any

from segmentation.events import Event
from segmentation.matching.paths import compile_getter_all
from segmentation.matching.selection import Selection
from segmentation.matching.values import as_number
from segmentation.memories.exact_sum import grow
from segmentation.memories.memory import Dropped, Memory, MemoryKind

Points = Callable[[dict[str, Any]], float | None]


def fixed_points(points: float) -> Points:
    """Returns a function that gives every message the same points."""
    return lambda message: points


def points_of(path: str, times: float) -> Points:
    """Returns a function that gives a message `times` × the sum of the numbers at a path; None if there is none."""
    get_values = compile_getter_all(path)

    def points(message: dict[str, Any]) -> float | None:
        numbers = [number for value in get_values(message) if (number := as_number(value)) is not None]
        return times * fsum(numbers) if numbers else None

    return points


class Score(MemoryKind):
    """A score without half-life. The memory has the time of the latest event that earned points, and the partials of
    an exact sum.
    """

    def __init__(self, key: int, earn: Sequence[tuple[Selection, Points]]) -> None:
        super().__init__(key, frozenset().union(*(selection.names for selection, _ in earn)))
        self._earn = earn

    def extract(self, name: str, message: dict[str, Any]) -> Any:
        earned = [
            points
            for selection, points_of_message in self._earn
            if (name in selection.names or "*" in selection.names)
            and selection.matches(message)
            and (points := points_of_message(message)) is not None
        ]
        return fsum(earned) if earned else None

    def fresh(self) -> Memory:
        return [0]

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        partials = memory[1:]
        grow(partials, (found,))
        memory[:] = [max(memory[0], event.timestamp_ms) if len(memory) > 1 else event.timestamp_ms, *partials]
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        if len(memory) < 2 or len(other) < 2:
            return max(memory, other, key=len)
        partials = memory[1:]
        grow(partials, other[1:])
        return [max(memory[0], other[0]), *partials]

    def value_at(self, memory: Memory, t_ms: int) -> float:
        """Returns the score at an instant, which must not be before the latest event that earned points."""
        return fsum(memory[1:])

    def public_value(self, memory: Memory) -> tuple[float, int] | None:
        """Returns the score and the instant at which it has this value; None if no event has earned points."""
        return (fsum(memory[1:]), memory[0]) if len(memory) > 1 else None

    def timeline(self, memory: Memory, t_ms: int, bounds: Sequence[float]) -> Iterator[tuple[int, float]]:
        """Yields pairs (instant, value) from t on; they include each instant at which it crosses one of the bounds."""
        yield t_ms, self.value_at(memory, t_ms)


class DecayingScore(Score):
    """A score with a half-life. The memory has the time of the latest event that earned points, and the score then.

    score(t) = Σ points(e) · 2^(-(t - timestamp(e)) / half_life), so adding an event scales and adds.
    """

    def __init__(self, key: int, earn: Sequence[tuple[Selection, Points]], half_life_ms: int) -> None:
        super().__init__(key, earn)
        self.half_life_ms = half_life_ms

    def fresh(self) -> Memory:
        return []

    def add(self, memory: Memory, event: Event, found: Any, profile_time_ms: int) -> Dropped:
        memory[:] = (
            self.merge(memory, [event.timestamp_ms, found], profile_time_ms)
            if memory
            else [event.timestamp_ms, found]
        )
        return ()

    def merge(self, memory: Memory, other: Memory, profile_time_ms: int) -> Memory:
        if not memory or not other:
            return memory or other
        at_ms = max(memory[0], other[0])
        return [at_ms, self.value_at(memory, at_ms) + self.value_at(other, at_ms)]

    def value_at(self, memory: Memory, t_ms: int) -> float:
        at_ms, value = memory
        return float(value * 2.0 ** ((at_ms - t_ms) / self.half_life_ms))

    def public_value(self, memory: Memory) -> tuple[float, int] | None:
        return (memory[1], memory[0]) if memory else None

    def timeline(self, memory: Memory, t_ms: int, bounds: Sequence[float]) -> Iterator[tuple[int, float]]:
        at_ms, value = memory
        ratios = [value / bound for bound in bounds if bound]
        crossings = {at_ms + int(self.half_life_ms * log2(ratio)) for ratio in ratios if 1.0 <= ratio < inf}
        near = {crossing + nudge for crossing in crossings for nudge in (-1, 0, 1, 2)}
        for instant_ms in (t_ms, *sorted(instant_ms for instant_ms in near if instant_ms > t_ms)):
            yield instant_ms, self.value_at(memory, instant_ms)
