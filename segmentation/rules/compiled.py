"""Compiled rules: the memories that each event can change, and the segments that depend on them."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple, TypeVar

import msgspec

from segmentation.conditions.tree import Condition, Leaf, Verdict
from segmentation.memories.measures import Measure
from segmentation.memories.memory import MemoryKind
from segmentation.memories.scores import Score
from segmentation.memories.traits import Trait
from segmentation.rules.expectations import Expectations

K = TypeVar("K")
V = TypeVar("V")


class Segment(msgspec.Struct, frozen=True):
    """One segment. In `Rules.segments`, each segment comes after those that it refers to."""

    index: int
    name: str
    version: str
    """A hash of the condition's content, including the segments, measures and scores that it refers to."""
    condition: Condition
    leaves: frozenset[int]
    """Keys of the leaves of the condition, without those of the segments that it refers to."""
    refers_to: frozenset[int]
    """Indexes of the segments that the condition refers to directly."""


class AffectedMemory(NamedTuple):
    """A memory that an event can change, and the leaves and measures that depend on it."""

    kind: MemoryKind
    leaves: tuple[Leaf, ...]
    measures: tuple[str, ...]
    """Names of the named measures that have this memory."""
    is_served: bool
    """Whether it is a score or a trait: every change of one is served."""


class AffectedMemories(NamedTuple):
    """The memories that an event with a given name can change."""

    memories: tuple[AffectedMemory, ...]
    max_rows_per_event: int
    """The most rows that one event can add, if each list counts as one value."""
    max_list_rows_per_event: int
    """The number of these rows that can occur once for each value of a list."""


class Rules:
    """A valid file of definitions in compiled form. All profiles share it."""

    def __init__(
        self,
        version: str,
        segments: list[Segment],
        leaves: Iterable[Leaf],
        measures: Mapping[str, Measure],
        scores: Mapping[str, Score],
        traits: Mapping[str, Trait],
        longest_window_ms: int,
        expectations: Expectations,
    ) -> None:
        self.version = version
        """A hash of the content of all definitions; descriptions do not change it."""
        self.segments = segments
        self.measures = measures
        """The named measures, which are served with the profile."""
        self.scores = scores
        self.traits = traits
        """Dotted path to trait, for each trait that a condition uses or that `export_traits` lists."""
        self.longest_window_ms = longest_window_ms
        self.expectations = expectations
        """What the conditions expect of values, to count those that they skip."""
        self.leaves = {leaf.key: leaf for leaf in leaves}
        served = [*measures.values(), *scores.values(), *traits.values()]
        self.kinds: dict[int, MemoryKind] = {
            kind.key: kind for kind in [*(leaf.kind for leaf in self.leaves.values()), *served]
        }
        self.leaves_of_kind = _grouped((leaf.kind.key, leaf) for leaf in self.leaves.values())
        self.segments_of_leaf = _grouped(
            (leaf, segment.index) for segment in segments for leaf in segment.leaves
        )
        self.referring = _grouped(
            (inner, segment.index) for segment in segments for inner in segment.refers_to
        )
        self.segment_by_name = {segment.name: segment for segment in segments}
        self.decision_bytes = 8192 + 128 * len(segments) + 24 * len(self.leaves) + 352 * len(measures)
        """An upper bound on the bytes of a profile's encoded state without its memories."""
        self._memories_by_name = self._index_by_name()
        self._affected_by_every_event = _affected(self._memories_by_name["*"])
        self._affected_by_name = {"*": self._affected_by_every_event}

    def affected_by(self, event_name: str) -> AffectedMemories:
        """Returns the memories that an event of this name can change."""
        affected = self._affected_by_name.get(event_name)
        if affected is not None:
            return affected
        memories = self._memories_by_name.get(event_name)
        if memories is None:
            return self._affected_by_every_event
        # not while loading, because it takes the product of the names and of the memories of every event
        affected = self._affected_by_name[event_name] = _affected([*memories, *self._memories_by_name["*"]])
        return affected

    @cached_property
    def decided_by_first_event(self) -> frozenset[int]:
        """Indexes of the segments that are decided at a profile's first event, whatever the event is.

        These are the segments whose condition is true of an empty profile, although no profile is in a segment
        before its first event, and the segments that refer to one of them. The latter can change if the first
        event makes that condition false.
        """
        verdicts: list[Verdict] = []
        empty = _EmptyProfile(verdicts)
        for segment in self.segments:
            verdicts.append(segment.condition.verdict(empty))
        holding = [index for index, (holds, _) in enumerate(verdicts) if holds]
        return frozenset(holding).union(*(self.referring.get(index, ()) for index in holding))

    def _index_by_name(self) -> dict[str, list[AffectedMemory]]:
        """Returns the memories that each name changes, without those of every event, which are under `*`."""
        names_of_measures = _grouped((measure.key, name) for name, measure in self.measures.items())
        served = {kind.key for kind in [*self.scores.values(), *self.traits.values()]}
        by_name: dict[str, list[AffectedMemory]] = {"*": []}
        for key, kind in self.kinds.items():
            memory = AffectedMemory(
                kind, self.leaves_of_kind.get(key, ()), names_of_measures.get(key, ()), key in served
            )
            for name in ("*",) if "*" in kind.names else kind.names:
                by_name.setdefault(name, []).append(memory)
        return by_name


def _affected(memories: list[AffectedMemory]) -> AffectedMemories:
    return AffectedMemories(
        memories=tuple(memories),
        max_rows_per_event=sum(memory.kind.max_rows_per_event for memory in memories),
        max_list_rows_per_event=sum(
            memory.kind.max_rows_per_event for memory in memories if memory.kind.takes_lists
        ),
    )


class _EmptyProfile:
    """The verdicts of a profile whose memories are all empty."""

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
