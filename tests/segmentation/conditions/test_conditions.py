"""Conditions: what holds, and the exact instant until which that stays so if nothing more happens.

The deadlines of a tree of conditions are held against a walk through time, millisecond by millisecond.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.conditions.leaves import CountLeaf, MeasureLeaf
from segmentation.conditions.tree import (
    All,
    Any_,
    Condition,
    Future,
    Leaf,
    Not,
    SegmentReference,
    verdict_at,
)
from segmentation.memories.memory import MemoryKind
from segmentation.timestamps import NEVER
from tests.events import START_MS
from tests.segmentation.folding import PROFILE_ID, Fold, examples, rules_for, spans_of, time_of
from tests.segmentation.pictures import assert_drawn, at, folded

END = 60


class Scripted(Leaf):
    """Holds and does not, in turns, changing at given instants; at the last of them for ever."""

    def __init__(self, key: int, begins_true: bool, flips: list[int]) -> None:
        self._begins_true = begins_true
        self._flips = flips
        super().__init__(key, Nothing(key, frozenset()))

    def future_of_memory(self, memory: Any, t_ms: int) -> Future:
        passed = sum(flip <= t_ms for flip in self._flips)
        return self._begins_true ^ (passed % 2 == 1), self._flips[passed:]

    def holds(self, t_ms: int) -> bool:
        return self.of_memory([], t_ms)[0]


class Nothing(MemoryKind):
    def fresh(self) -> list[Any]:
        return []


class Futures:
    """The futures of a profile whose leaves are scripted; those of the leaves begin at 0."""

    def __init__(self, segments: list[Condition]) -> None:
        self._segments = segments

    def of_leaf(self, leaf: Leaf) -> Future:
        return leaf.future_of_memory([], 0)

    def of_segment(self, index: int) -> Future:
        return self._segments[index].future(self)


class View:
    def __init__(self, segments: list[Condition], t_ms: int) -> None:
        self._segments = segments
        self._t_ms = t_ms

    def leaf(self, leaf: Leaf) -> tuple[bool, int]:
        return leaf.of_memory([], self._t_ms)

    def segment(self, index: int) -> tuple[bool, int]:
        return self._segments[index].verdict(self)


Tree = tuple[Condition, Callable[[int], bool]]
"""A condition, and whether it holds at an instant, by the words of the language."""

flips = st.lists(st.integers(1, END - 1), max_size=5, unique=True).map(sorted)
leaves = st.builds(lambda begins, at_ms: Scripted(0, begins, at_ms), st.booleans(), flips).map(
    lambda leaf: (leaf, leaf.holds)
)


def combined(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map(
            lambda trees: (All([c for c, _ in trees]), lambda t: all(holds(t) for _, holds in trees))
        ),
        several.map(
            lambda trees: (Any_([c for c, _ in trees]), lambda t: any(holds(t) for _, holds in trees))
        ),
        inner.map(lambda tree: (Not(tree[0]), lambda t: not tree[1](t))),
    )


trees = st.recursive(leaves, combined, max_leaves=8)


@examples(500)
@given(tree=trees)
def test_a_future_has_the_very_instants_of_all_changes(tree):
    condition, holds = tree
    changes = [t for t in range(1, END) if holds(t) != holds(t - 1)]
    assert condition.future(Futures([])) == (holds(0), changes)


@examples(100)
@given(tree=trees)
def test_a_future_has_the_verdict_of_every_later_instant(tree):
    condition, holds = tree
    future = condition.future(Futures([]))
    for t_ms in range(END):
        until = next((t for t in range(t_ms + 1, END) if holds(t) != holds(t_ms)), NEVER)
        assert verdict_at(future, t_ms) == (holds(t_ms), until)


@examples(200)
@given(tree=trees, t_ms=st.integers(0, END))
def test_the_deadline_of_any_verdict_may_be_early_and_is_never_late(tree, t_ms):
    condition, holds = tree
    now, until = condition.verdict(View([], t_ms))
    assert now == holds(t_ms)
    assert t_ms < until <= next((t for t in range(t_ms + 1, END) if holds(t) != now), NEVER)


@examples(200)
@given(inner=trees, other=leaves)
def test_a_reference_is_the_other_segment_s_condition(inner, other):
    by_reference = All([Not(SegmentReference(0)), other[0]])
    written_out = All([Not(inner[0]), other[0]])
    assert by_reference.future(Futures([inner[0]])) == written_out.future(Futures([]))
    assert by_reference.verdict(View([inner[0]], 0)) == written_out.verdict(View([], 0))


# A window of its own for each part:
#
#   any: the later end counts, and a gap between them is an exit
#   all: the earlier end counts
#   not: a member until it begins, and again when it ends

A3, B5 = {"event": "A", "within": "3s"}, {"event": "B", "within": "5s"}


def test_any():
    assert_drawn({"any": [A3, B5]},
                 "AB        A   B      ",
                 "======    === =====  ")  # fmt: skip


def test_all():
    assert_drawn({"all": [A3, B5]},
                 "AB    B   A     ",
                 " ==       =     ")  # fmt: skip


def test_not():
    assert_drawn({"all": [{"event": "B"}, {"not": A3}]},
                 "B  A    A A    ",
                 "===   ==     ==")  # fmt: skip


def test_a_deadline_reaches_through_what_ends_and_begins_together():
    """What leaves one window enters the other's complement at the same millisecond: nothing changes."""
    fold = folded({"any": [A3, {"not": A3}]}, at(0))
    assert fold.members() == {"s": None}
    fold = folded({"any": [A3, {"all": [{"not": A3}, B5]}]}, at(0, "B"), at(1_000))
    assert fold.members() == {"s": START_MS + 5_000}


def test_an_exit_that_another_condition_takes_back_later_is_an_exit():
    fold = folded({"any": [A3, {"all": [{"not": A3}, {"not": B5}]}]}, at(0, "B"), at(0))
    assert fold.members() == {"s": START_MS + 3_000}
    fold.advance(START_MS + 3_000)
    assert fold.members() == {}
    assert fold.profile.deadline() == START_MS + 5_000
    fold.advance(START_MS + 5_000)
    assert fold.members() == {"s": None}


def test_segments_follow_those_that_they_refer_to_in_one_step():
    rules = rules_for(
        z={"event": "A", "within": "3s"},
        y={"not": {"segment": "z"}},
        x={"all": [{"segment": "y"}, {"not": {"segment": "z"}}]},
        w={"any": [{"segment": "z"}, {"segment": "x"}]},
    )
    assert [segment.name for segment in rules.segments].index("z") < [s.name for s in rules.segments].index(
        "w"
    )
    fold = Fold(rules).apply_all([at(0)])
    assert fold.members() == {"z": START_MS + 3_000, "w": None}
    changes = fold.advance(START_MS + 3_000).changes
    assert {(change.segment, change.change) for change in changes} == {
        ("z", "exited"),
        ("y", "entered"),
        ("x", "entered"),
    }
    assert {change.event_time_ms for change in changes} == {START_MS + 3_000}


def test_before_the_first_event_nothing_holds():
    fold = folded({"not": {"event": "B"}})
    assert fold.advance(START_MS).changes == []
    assert fold.apply(at(5)).changes[0].event_time_ms == START_MS + 5


# Counts: the newest few events decide, whatever the test

count_tests = st.dictionaries(
    st.sampled_from(["at_least", "at_most", "more_than", "less_than", "equals", "not_equals"]),
    st.sampled_from([0, 1, 2, 3, 1.5, 2.0, 4]),
    min_size=1,
    max_size=2,
) | st.builds(
    lambda name, numbers: {name: numbers},
    st.sampled_from(["in", "not_in"]),
    st.lists(st.integers(0, 4), min_size=1, max_size=3),
)


@examples(200)
@given(
    tests=count_tests,
    seconds=st.lists(st.integers(0, 8), min_size=1, max_size=8),
    measure=st.sampled_from(["count", "distinct"]),
)
def test_a_count_is_decided_as_by_all_events(tests, seconds, measure):
    of = {"of": "properties.x"} if measure == "distinct" else {}
    log = [at(1000 * second, x=number % 3, message_id=f"{number}") for number, second in enumerate(seconds)]
    bounded = {"event": "A", "within": "5s", measure: of | tests}
    served = {"event": "A", "within": "5s", measure: of}
    fold = folded(bounded, *log, sections={"measures": {"m": served}})
    rules, state = fold.rules, fold.profile.state
    (leaf,) = rules.leaves.values()
    kind = rules.measures["m"]
    assert isinstance(leaf, CountLeaf)
    memory = fold.profile._decisions.memory(kind)
    capped = MeasureLeaf(0, kind, lambda count: leaf._passes[min(count, len(leaf._passes) - 1)])
    assert leaf.of_memory(
        fold.profile._decisions.memory(leaf.kind), state.profile_time_ms
    ) == capped.of_memory(memory, state.profile_time_ms)


@pytest.mark.parametrize("seconds", [0, -2_000_000_000])
def test_without_a_window_nothing_expires_also_before_1970(seconds):
    for when in (
        {"event": "A"},
        {"event": "A", "distinct": {"of": "properties.x", "at_least": 1}},
        {"event": "A", "max": {"of": "properties.x", "at_least": 1}},
        {"event": "A", "first": {"of": "properties.x", "exists": True}},
        {"not": {"event": "A", "min": {"of": "properties.x", "at_least": 2}}},
        {"any": [{"event": "A", "last": {"of": "properties.x", "equals": 1}}, A3]},
    ):
        fold = folded(when, at(1000 * seconds, x=1))
        assert fold.members() == {"s": None}
        fold.advance(
            START_MS + 300 * 86_400_000 if seconds == 0 else START_MS + 1000 * seconds + 300 * 86_400_000
        )
        assert fold.members() == {"s": None}


# What an event changes after the next deadline only. With a wait of 3 s and a window of 5 s:
#
#     A   A         two events
#        ==  ==     the sequence holds in [3, 5), and because of the second event in [7, 9) again
#     B=======      B's window
#     =========     one of the two holds; without the second event a second less

WAITED = {"sequence": [{"event": "A"}], "within": "5s", "then_not": {"event": "X", "during": "3s"}}
B8 = {"event": "B", "within": "8s"}


@pytest.mark.parametrize("is_named", [False, True])
def test_what_changes_after_a_deadline_only_moves_what_looks_past_it(is_named):
    inner = {"segment": "waited"} if is_named else WAITED
    fold = Fold(rules_for(waited=WAITED, together={"any": [inner, B8]}))
    fold.apply_all([at(0), at(0, "B"), at(3_500, "Z")])
    assert fold.members() == {"waited": START_MS + 5_000, "together": START_MS + 8_000}
    fold.apply(at(4_000))
    assert fold.members() == {"waited": START_MS + 5_000, "together": START_MS + 9_000}


# Instants before 1970


@pytest.mark.parametrize(
    "begin", ["0001-01-01T00:00:00Z", "1969-12-31T12:00:00Z", "1969-12-31T23:55:00Z", "1970-01-01T12:00:00Z"]
)
def test_all_and_any_decide_alike_at_every_time(begin):
    viewed = {"event": "Product Viewed", "within": "10m"}
    rules = rules_for(
        one=viewed,
        any_of_one={"any": [viewed]},
        any_of_two={"any": [viewed, {"event": "Order Completed", "within": "10m"}]},
        all_with_absence={"all": [{"event": "Product Viewed"}, {"not": viewed}]},
    )
    message = {
        "type": "track",
        "messageId": "a",
        "userId": PROFILE_ID,
        "event": "Product Viewed",
        "timestamp": begin,
    }
    fold = Fold(rules)
    fold.apply(message)
    begin_ms = time_of(message)
    end_ms = begin_ms + 600_000
    fold.advance(end_ms)
    for name in ("one", "any_of_one", "any_of_two"):
        assert spans_of(fold.changes, name) == [(begin_ms, end_ms)], name
    assert spans_of(fold.changes, "all_with_absence") == [(end_ms, None)]
