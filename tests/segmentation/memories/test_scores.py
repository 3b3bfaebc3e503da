"""Scores: which events earn points, how scores decay, and the exact millisecond at which a test changes."""

from math import fsum, log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.memories.scores import DecayingScore, Score
from segmentation.timestamps import NEVER
from tests.events import START_MS
from tests.segmentation.folding import event_of, examples, rules_of
from tests.segmentation.pictures import at, folded, spans

SECOND_S = {"scores": {"x": {"half_life": "1s", "earn": [{"event": "A", "points": {"of": "properties.p"}}]}}}


def score_of(*earn: dict[str, Any], **score: Any) -> Score:
    return rules_of({"version": 1, "scores": {"x": {"earn": list(earn), **score}}}).scores["x"]


def served(*messages: dict[str, Any], **score: Any) -> tuple[float, int]:
    """Returns the score in the snapshot after messages in order of arrival, and its milliseconds after the start."""
    value, at_ms = (
        folded({"event": "Z"}, *messages, sections={"scores": {"x": score}}).snapshots[-1].scores["x"]
    )
    return value, at_ms - START_MS


def test_points_halve_in_every_half_life():
    """Of 4 points, with a half-life of 2 s, 4, 2, 1 and 0.5 are left after 0, 2, 4 and 6 s."""
    sections = {"scores": {"x": {"half_life": "2s", "earn": [{"event": "A", "points": 4}]}}}
    # within 1e-9 of 1 counts as 1, so that the last millisecond is the 4,000th itself
    assert spans({"score": "x", "at_least": 1}, at(0), until=9_000, sections=sections) == [(0, 4_001)]
    assert spans({"score": "x", "more_than": 1}, at(0), until=9_000, sections=sections) == [(0, 4_000)]
    assert spans({"score": "x", "less_than": 1}, at(0), until=9_000, sections=sections) == [(4_001, None)]
    assert spans({"score": "x", "at_most": 1}, at(0), until=9_000, sections=sections) == [(4_000, None)]
    assert spans({"score": "x", "equals": 1}, at(0), until=9_000, sections=sections) == [(4_000, 4_001)]


def test_what_comes_while_it_decays_is_added():
    sections = {"scores": {"x": {"half_life": "1s", "earn": [{"event": "A", "points": 4}]}}}
    assert spans(
        {"score": "x", "more_than": 2}, at(0), at(3_000), at(4_000), until=20_000, sections=sections
    ) == [
        (0, 1_000),
        (3_000, 3_000 + 1_000 + 1 + int(1000 * log2((4 + 2 + 0.25) / 2))),
    ]


@pytest.mark.parametrize(
    ("points", "test", "drawn"),
    [
        (1, {"more_than": 0}, [(0, 29_898)]),  # 2 ** -29.897... is 1e-9, which counts as 0
        (-1, {"less_than": 0}, [(0, 29_898)]),
        (1, {"not_equals": 0}, [(0, 29_898)]),
        (1, {"equals": 0}, [(29_898, None)]),
        (1, {"at_most": 0}, [(29_898, None)]),
        (-4, {"at_most": -1}, [(0, 2_001)]),
        (4, {"more_than": 1, "less_than": 2}, [(1_001, 2_000)]),
        (4, {"in": [1, 2]}, [(1_000, 1_001), (2_000, 2_001)]),
        (4, {"not_in": [1, 2]}, [(0, 1_000), (1_001, 2_000), (2_001, None)]),
        (0, {"equals": 0}, [(0, None)]),
        (0, {"more_than": 0}, []),
        (1e15, {"at_least": 1e15}, [(0, 1)]),
        (1e15, {"more_than": 0}, [(0, 79_727)]),
    ],
)
def test_the_millisecond_at_which_a_test_changes(points, test, drawn):
    assert spans({"score": "x", **test}, at(0, p=points), until=99_000, sections=SECOND_S) == drawn


def test_a_score_that_just_counts_as_equal_leaves_a_millisecond_later():
    just = 1 - 1e-9
    assert spans({"score": "x", "at_least": 1}, at(0, p=just), until=9_000, sections=SECOND_S) == [(0, 1)]
    just = -1 + 1e-9
    assert spans({"score": "x", "at_most": -1}, at(0, p=just), until=9_000, sections=SECOND_S) == [(0, 1)]


@examples(300)
@given(
    points=st.floats(0.01, 1e6),
    below=st.floats(1e-6, 0.999999),
    half_life_ms=st.integers(1_000, 400 * 86_400_000),
)
def test_an_exit_by_decay_is_at_the_first_millisecond_at_which_the_test_fails(points, below, half_life_ms):
    wanted = points * below
    half_life = f"{half_life_ms // 1000}s"
    half_life_ms = half_life_ms // 1000 * 1000
    sections = {"scores": {"x": {"half_life": half_life, "earn": [{"event": "A", "points": points}]}}}
    leaves_at_ms = folded({"score": "x", "at_least": wanted}, at(0), sections=sections).members()["s"]
    assert leaves_at_ms is not None
    exact_ms = half_life_ms * log2(points / (wanted - 1e-9 * max(1, wanted)))
    assert abs(leaves_at_ms - START_MS - exact_ms) <= max(1, 2e-9 * half_life_ms)


def test_two_memories_merge_into_the_sum_of_their_points():
    rules = rules_of(
        {"version": 1, "scores": {"x": {"half_life": "1s", "earn": [{"event": "A", "points": 1}]}}}
    )
    (kind,) = rules.kinds.values()

    def memory_of(*instants_ms):
        memory = kind.fresh()
        for at_ms in instants_ms:
            one = event_of(at(at_ms))
            kind.add(memory, one, kind.extract(one.name, one.message), one.timestamp_ms)
        return memory

    both = kind.merge(memory_of(0, 1_000), memory_of(2_000), START_MS + 2_000)
    assert kind.value_at(both, START_MS + 2_000) == kind.value_at(
        memory_of(0, 1_000, 2_000), START_MS + 2_000
    )
    assert kind.merge(kind.fresh(), memory_of(5), START_MS + 5) == memory_of(5)


def test_an_event_earns_by_every_entry_that_it_matches():
    earn = [
        {"event": "A", "points": 1},
        {"event": ["A", "B"], "points": {"of": "properties.p"}},
        {"event": "*", "points": {"of": "properties.q[]", "times": -0.5}},
        {"event": "A", "where": {"properties.p": 9}, "points": 100},
    ]
    assert served(at(0, p=2, q=[1, "2", None, True]), earn=earn) == (1 + 2 - 1.5, 0)
    assert served(at(0, p="n/a", q=[]), earn=earn) == (1, 0)
    assert served(at(5, "B", p=9), earn=earn) == (9, 5)


def test_without_a_half_life_points_stay_and_the_order_does_not_matter():
    log = [at(n, p=points) for n, points in enumerate([1e15, 0.1, 0.2, -1e15, 0.7, -0.3])]
    earn = [{"event": "A", "points": {"of": "properties.p"}}]
    assert served(*log, earn=earn) == served(*log[::-1], earn=earn) == (fsum([0.1, 0.2, 0.7, -0.3]), 5)
    sections = {"scores": {"x": {"earn": earn}}}
    assert spans({"score": "x", "at_least": 0.7}, *log, until=10**9, sections=sections) == [(0, 3), (4, None)]


def test_points_too_few_to_be_seen_are_kept_and_serve_nothing_new():
    score = {"earn": [{"event": "A", "points": {"of": "properties.p"}}]}
    few = [at(i, "A", p=0.05) for i in range(2)]
    fold = folded({"event": "Z"}, at(9, "A", p=1e15), *few, sections={"scores": {"x": score}})
    snapshots = [outcome.snapshot for outcome in fold.outcomes]
    assert [one is not None and one.scores["x"][0] for one in snapshots] == [1e15, False, 1e15 + 0.125]


def test_late_points_are_worth_what_is_left_of_them():
    earn = [{"event": "A", "points": 8}]
    assert served(at(3_000), at(0), earn=earn, half_life="1s") == (9, 3_000)
    assert served(at(0), at(3_000), earn=earn, half_life="1s") == (9, 3_000)


def test_what_earned_nothing_is_served_and_tested_as_0():
    earn = [{"event": "A", "points": {"of": "properties.p"}}]
    fold = folded({"score": "x", "equals": 0}, at(0, "B"), sections={"scores": {"x": {"earn": earn}}})
    assert fold.snapshots[-1].scores == {}
    assert fold.members() == {"s": None}
    assert fold.apply(at(1, p="n/a")).snapshot is None
    assert fold.apply(at(2, p=0)).snapshot.scores == {"x": (0, START_MS + 2)}


def test_merging_with_the_memory_of_no_event_changes_nothing():
    before_1970 = at(-1_900_000_000_000)
    for half_life in ({}, {"half_life": "1d"}):
        score = score_of({"event": "A", "points": 5}, **half_life)
        (memory,) = folded({"event": "Z"}, before_1970, sections={
            "scores": {"x": {"earn": [{"event": "A", "points": 5}], **half_life}}
        }).profile.state.memories.values()  # fmt: skip
        assert score.merge(score.fresh(), list(memory), 0) == memory
        assert score.merge(list(memory), score.fresh(), 0) == memory
        assert score.merge(score.fresh(), score.fresh(), 0) == score.fresh()


def test_a_score_of_long_ago_is_nothing_and_no_error():
    score = score_of({"event": "A", "points": 1e15}, half_life="1s")
    assert isinstance(score, DecayingScore)
    assert score.value_at([0, 1e15], NEVER) == 0
    assert score.merge([0, 1e15], [10**15, 1.0], 10**15) == [10**15, 1.0]
