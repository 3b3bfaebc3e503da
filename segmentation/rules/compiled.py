"""Compiled rules: what to remember of an event, and which segments that can change."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

import msgspec

from segmentation.conditions import Condition, Leaf, Verdict
from segmentation.measures import Measure
from segmentation.memory import MemoryKind
from segmentation.scores import Score
from segmentation.traits import Trait


K = TypeVar("K")
V = TypeVar("V")


class Segment(msgspec.Struct, frozen=True):
    """One segment; segments stand in an order in which each comes after those that it refers to."""

    index: int
    name: str
    version: str
    """A hash of what the condition means, with everything it refers to."""
    condition: Condition
    leaves: frozenset[int]
    """Keys of the leaves that the condition names itself."""
    refers_to: frozenset[int]
    """Indexes of the segments that the condition names itself."""


class Rules:
    """A valid file of definitions, compiled once and used for every profile."""

    def __init__(
        self,
        version: str,
        segments: list[Segment],
        leaves: Iterable[Leaf],
        measures: Mapping[str, Measure],
        scores: Mapping[str, Score],
        traits: Mapping[str, Trait],
        longest_window_ms: int,
    ) -> None:
        self.version = version
        """A hash of the whole file's meaning."""
        self.segments = segments
        self.measures = measures
        """The named measures, which are served with the profile."""
        self.scores = scores
        self.traits = traits
        """Dotted path to trait: those that a condition names or that are exported."""
        self.longest_window_ms = longest_window_ms
        self.leaves = {leaf.key: leaf for leaf in leaves}
        served = [*measures.values(), *scores.values(), *traits.values()]
        self.kinds: dict[int, MemoryKind] = {
            kind.key: kind for kind in [*(leaf.kind for leaf in self.leaves.values()), *served]
        }
        self._kinds_by_name = self._index_kinds()
        self._kinds_of_every_event = self._kinds_by_name.get("*", ())
        self.leaves_of_kind = _grouped((leaf.kind.key, leaf) for leaf in self.leaves.values())
        self.measures_of_kind = _grouped((measure.key, name) for name, measure in measures.items())
        self.segments_of_leaf = _grouped((leaf, segment.index) for segment in segments for leaf in segment.leaves)
        self.referring = _grouped((inner, segment.index) for segment in segments for inner in segment.refers_to)
        self.segment_by_name = {segment.name: segment for segment in segments}
        self.served_kinds = frozenset(kind.key for kind in [*scores.values(), *traits.values()])

    def kinds_reached_by(self, event_name: str) -> tuple[MemoryKind, ...]:
        """Returns the memories that an event of this name can reach."""
        return self._kinds_by_name.get(event_name, self._kinds_of_every_event)

    @cached_property
    def true_when_empty(self) -> tuple[int, ...]:
        """Indexes of the segments that hold for a profile of which nothing is remembered."""
        verdicts: list[Verdict] = []
        empty = _Empty(verdicts)
        for segment in self.segments:
            verdicts.append(segment.condition.verdict(empty))
        return tuple(index for index, (holds, _) in enumerate(verdicts) if holds)

    def _index_kinds(self) -> dict[str, tuple[MemoryKind, ...]]:
        by_name: dict[str, list[MemoryKind]] = {}
        every_event = [kind for kind in self.kinds.values() if "*" in kind.names]
        for kind in self.kinds.values():
            for name in kind.names:
                if name != "*" and "*" not in kind.names:
                    by_name.setdefault(name, []).append(kind)
        index = {name: (*kinds, *every_event) for name, kinds in by_name.items()}
        index["*"] = tuple(every_event)
        return index


class _Empty:
    """A profile of which nothing is remembered."""

    def __init__(self, verdicts: list[Verdict]) -> None:
        self._verdicts = verdicts

    def leaf(self, leaf: Leaf) -> Verdict:
        return leaf.when_empty

    def segment(self, index: int) -> Verdict:
        return self._verdicts[index]


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in groups.items()}
