"""Compiles definitions into rules."""

from collections.abc import Callable
from typing import Any

from segmentation.conditions import leaves, tree
from segmentation.conditions.tree import Condition, Leaf
from segmentation.matching.paths import PathGetterAll, compile_getter_all, walks_lists
from segmentation.matching.predicates import compile_measure_tests, compile_tests, numeric_operands
from segmentation.matching.selection import Selection
from segmentation.memories import measures
from segmentation.memories.memory import MemoryKind
from segmentation.memories.rows import MAX_EVENTS
from segmentation.memories.scores import DecayingScore, Score, fixed_points, points_of
from segmentation.memories.sequences import Sequence, Step, ThenNot
from segmentation.memories.traits import Trait
from segmentation.rules import fingerprints
from segmentation.rules.checks import events_needed
from segmentation.rules.compiled import Rules, Segment
from segmentation.rules.expectations import Expectations
from segmentation.rules.schema import conditions
from segmentation.rules.schema.definitions import Definitions, PointsOf
from segmentation.rules.schema.measures import EventSelection, Measured
from segmentation.timestamps import NEVER

_MEASURES: dict[str, tuple[type[measures.Measure], type[measures.Measure]]] = {
    "count": (measures.Count, measures.CountEver),
    "sum": (measures.Sum, measures.SumEver),
    "average": (measures.Average, measures.AverageEver),
    "min": (measures.Min, measures.Min),
    "max": (measures.Max, measures.Max),
    "distinct": (measures.Distinct, measures.Distinct),
    "first": (measures.First, measures.FirstEver),
    "last": (measures.Last, measures.Last),
}
"""Name of a measure to its class with a window and its class without one."""


def compile_rules(definitions: Definitions) -> Rules:
    """Returns the compiled form of definitions that passed all checks."""
    return _Compiler(definitions).rules()


class _Compiler:
    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._kinds: dict[int, MemoryKind] = {}
        self._leaves: dict[int, Leaf] = {}
        self._traits: dict[str, Trait] = {}
        self._segments: dict[str, Segment] = {}
        self._windows_ms = [0]
        # the two sets below belong to the segment that is being compiled
        self._used_leaves: set[int] = set()
        self._used_segments: set[int] = set()

    def rules(self) -> Rules:
        definitions = self._definitions
        named_measures = {name: self._named_measure(name) for name in definitions.measures}
        scores = {name: self._score(name) for name in definitions.scores}
        for name in definitions.segments:
            self._compile_with_references(name)
        for path in definitions.export_traits:
            self._trait(path)
        version = fingerprints.digest(
            [
                sorted([name, measure.key] for name, measure in named_measures.items()),
                sorted([name, score.key] for name, score in scores.items()),
                sorted([segment.name, segment.version] for segment in self._segments.values()),
                sorted(self._traits),
            ]
        )
        segments = list(self._segments.values())
        leaves = self._leaves.values()
        longest_window_ms, expectations = max(self._windows_ms), Expectations(definitions)
        return Rules(
            version, segments, leaves, named_measures, scores, self._traits, longest_window_ms, expectations
        )

    def _compile_with_references(self, name: str) -> None:
        """Compiles a segment after the segments that it refers to, so that those come first in `Rules.segments`."""
        if name in self._segments:
            return
        when = self._definitions.segments[name].when
        for inner in _referred(when):
            self._compile_with_references(inner)
        self._used_leaves, self._used_segments = set(), set()
        condition, condition_content = self._condition(when)
        self._segments[name] = Segment(
            index=len(self._segments),
            name=name,
            version=_hash_of(condition_content),
            condition=condition,
            leaves=frozenset(self._used_leaves),
            refers_to=frozenset(self._used_segments),
        )

    def _condition(self, when: conditions.Condition) -> tuple[Condition, Any]:
        """Returns the compiled condition, and the content that its fingerprint hashes."""
        match when:
            case conditions.AllCondition():
                return self._junction("all", tree.All, when.all)
            case conditions.AnyCondition():
                return self._junction("any", tree.Any_, when.any)
            case conditions.NotCondition():
                inner, inner_content = self._condition(when.not_)
                return tree.Not(inner), ["not", _hash_of(inner_content)]
            case conditions.SegmentCondition():
                segment = self._segments[when.segment]
                self._used_segments.add(segment.index)
                return tree.SegmentReference(segment.index), segment.version
            case conditions.EventCondition():
                return self._measure_leaf(when, *when.measure())
            case conditions.MeasureCondition():
                definition = self._definitions.measures[when.measure]
                # the memory for the test is separate from that of the served measure: the condition then has the same
                # memory whether it names the measure or contains it
                return self._measure_leaf(definition, *definition.measure()[:2], when.tests())
            case conditions.SequenceCondition():
                return self._leaf(leaves.SequenceLeaf, self._sequence(when), fingerprints.of_sequence(when))
            case conditions.TraitCondition():
                return self._trait_leaf(when)
            case conditions.ScoreCondition():
                return self._score_leaf(when)
        raise AssertionError(when)

    def _junction(
        self, form: str, junction: Callable[[list[Condition]], Condition], inner: list[conditions.Condition]
    ) -> tuple[Condition, Any]:
        compiled = [self._condition(condition) for condition in inner]
        # hashes of the inner contents, sorted and without repeats: order and repetition do not change the fingerprint
        return junction([condition for condition, _ in compiled]), [
            form,
            sorted({_hash_of(inner_content) for _, inner_content in compiled}),
        ]

    def _leaf(
        self, make: Callable[..., Leaf], kind: MemoryKind, leaf_content: Any, *arguments: Any
    ) -> tuple[Condition, Any]:
        key = fingerprints.key(["leaf", leaf_content])
        if key not in self._leaves:
            self._leaves[key] = make(key, kind, *arguments)
        self._used_leaves.add(key)
        return self._leaves[key], leaf_content

    def _measure_leaf(
        self, selection: Measured, name: str, path: str | None, tests: dict[str, Any]
    ) -> tuple[Condition, Any]:
        limit = events_needed(tests) if name in ("count", "distinct") else None
        kind = self._measure(selection, name, path, limit)
        window_ms = self._window_ms(selection.within)
        leaf_content = [
            *fingerprints.of_memory(name, path, selection, window_ms),
            fingerprints.of_tests(tests),
        ]
        passes = compile_measure_tests(tests, kind.tolerant)
        bounded_count = (
            isinstance(kind, (measures.Count, measures.Distinct)) and (kind.limit or 0) <= MAX_EVENTS
        )
        return self._leaf(
            leaves.CountLeaf if bounded_count else leaves.MeasureLeaf, kind, leaf_content, passes
        )

    def _named_measure(self, name: str) -> measures.Measure:
        definition = self._definitions.measures[name]
        measure, path, _ = definition.measure()
        return self._measure(definition, measure, path, None)

    def _measure(
        self, selection: Measured, name: str, path: str | None, limit: int | None
    ) -> measures.Measure:
        window_ms = self._window_ms(selection.within)
        windowed, ever = _MEASURES[name]
        measure_class = ever if window_ms == NEVER else windowed
        bounded = issubclass(measure_class, (measures.Count, measures.Distinct)) and limit is not None
        key = fingerprints.key(
            [*fingerprints.of_memory(name, path, selection, window_ms), limit if bounded else None]
        )
        if key not in self._kinds:
            get_values = compile_getter_all(path) if path else _no_values
            arguments = (key, self._selection(selection, window_ms), get_values)
            if issubclass(measure_class, measures.Distinct):
                self._kinds[key] = measure_class(
                    *arguments, limit, takes_lists=path is not None and walks_lists(path)
                )
            elif bounded:
                self._kinds[key] = measure_class(*arguments, limit)  # type: ignore[call-arg]
            else:
                self._kinds[key] = measure_class(*arguments)
        kind = self._kinds[key]
        assert isinstance(kind, measures.Measure)
        return kind

    def _sequence(self, when: conditions.SequenceCondition) -> Sequence:
        key = fingerprints.key(fingerprints.of_sequence(when))
        if key not in self._kinds:
            window_ms = self._window_ms(when.within)
            steps = [
                Step(self._selection(step, window_ms), self._same(when, step.same), step.max_gap or NEVER)
                for step in when.sequence
            ]
            then_not = [
                ThenNot(
                    self._selection(entry, window_ms),
                    self._same(when, entry.same),
                    entry.for_ or entry.during or 0,
                    entry.for_ is not None,
                )
                for entry in fingerprints.then_not_in_order(when)
            ]
            self._kinds[key] = Sequence(key, steps, then_not, window_ms)
        kind = self._kinds[key]
        assert isinstance(kind, Sequence)
        return kind

    def _same(self, when: conditions.SequenceCondition, own: str | None) -> PathGetterAll | None:
        path = own or when.same
        return None if path is None else compile_getter_all(path)

    def _trait_leaf(self, when: conditions.TraitCondition) -> tuple[Condition, Any]:
        tests = when.tests()
        leaf_content = ["trait", when.trait, fingerprints.of_tests(tests)]
        return self._leaf(leaves.TraitLeaf, self._trait(when.trait), leaf_content, compile_tests(tests))

    def _trait(self, path: str) -> Trait:
        if path not in self._traits:
            self._traits[path] = Trait(fingerprints.key(["trait", path]), path)
        return self._traits[path]

    def _score_leaf(self, when: conditions.ScoreCondition) -> tuple[Condition, Any]:
        tests = when.tests()
        leaf_content = [
            fingerprints.of_score(self._definitions.scores[when.score]),
            fingerprints.of_tests(tests),
        ]
        passes = compile_measure_tests(tests, tolerant=True)
        operands = numeric_operands(tests)
        return self._leaf(leaves.ScoreLeaf, self._score(when.score), leaf_content, passes, operands)

    def _score(self, name: str) -> Score:
        definition = self._definitions.scores[name]
        key = fingerprints.key(fingerprints.of_score(definition))
        if key not in self._kinds:
            earn = [
                (
                    self._selection(entry, NEVER),
                    points_of(entry.points.of, entry.points.times)
                    if isinstance(entry.points, PointsOf)
                    else fixed_points(entry.points),
                )
                for entry in definition.earn
            ]
            half_life_ms = definition.half_life
            self._kinds[key] = (
                Score(key, earn) if half_life_ms is None else DecayingScore(key, earn, half_life_ms)
            )
        kind = self._kinds[key]
        assert isinstance(kind, Score)
        return kind

    def _selection(self, selection: EventSelection, window_ms: int) -> Selection:
        where = {path: tests.tests() for path, tests in selection.where.items()}
        return Selection(selection.event, where, window_ms)

    def _window_ms(self, within_ms: int | None) -> int:
        if within_ms is None:
            return NEVER
        self._windows_ms.append(within_ms)
        return within_ms


def _no_values(message: dict[str, Any]) -> list[Any]:
    return []  # `count` takes no path


def _hash_of(condition_content: Any) -> str:
    # the content of a reference is the version of its segment, which is already a hash
    return condition_content if isinstance(condition_content, str) else fingerprints.digest(condition_content)


def _referred(when: Any) -> list[str]:
    match when:
        case conditions.SegmentCondition():
            return [when.segment]
        case conditions.AllCondition():
            return [name for inner in when.all for name in _referred(inner)]
        case conditions.AnyCondition():
            return [name for inner in when.any for name in _referred(inner)]
        case conditions.NotCondition():
            return _referred(when.not_)
    return []
