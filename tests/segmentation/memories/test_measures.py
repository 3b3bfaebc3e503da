"""Measures over the events of a window: edges, ties, what is remembered, and what merging makes of it.

In the drawings a column is a second, a letter an event, and `=` a second in which the profile is a member.
"""

from math import fsum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.memories.measures import Count, Distinct, First, Max, Measure, Sum, coalesced
from segmentation.memories.memory import Memory
from segmentation.memories.rows import MAX_EVENTS
from segmentation.timestamps import NEVER
from tests.events import START_MS, event
from tests.segmentation.folding import examples, rules_of
from tests.segmentation.pictures import assert_drawn, at, folded, spans

X = "properties.x"


def kind_of(measure: str, **rule: Any) -> Measure:
    """Returns a named measure."""
    of = {} if measure == "count" else {"of": rule.pop("of", X)}
    return rules_of({"version": 1, "measures": {"m": {"event": "A", measure: of, **rule}}}).measures["m"]


def remembered(kind: Measure, *seconds_and_values: tuple[float, Any]) -> Memory:
    """Returns the memory of events, in order of arrival, at the latest of their times."""
    memory, profile_time_ms = kind.fresh(), -NEVER
    for number, (seconds, value) in enumerate(seconds_and_values):
        one = event(seconds, "A", message_id=f"m{number}", x=value)
        profile_time_ms = max(profile_time_ms, one.timestamp_ms)
        found = kind.extract(one.name, one.message)
        if found is not None:
            kind.add(memory, one, found, profile_time_ms)
    return memory


def timeline(kind: Measure, memory: Memory, seconds: float) -> list[tuple[float, Any]]:
    """Returns the value at a second after the start, and each later value with its second."""
    t_ms = START_MS + round(seconds * 1000)
    return [
        ((ms - START_MS) / 1000, value) for ms, value in coalesced(kind.timeline(memory, t_ms)) if ms < NEVER
    ]


# The window (t - W, t]: an event counts from its own instant until exactly W later


def test_an_event_counts_until_exactly_its_window_later():
    assert_drawn({"event": "A", "within": "5s"},
                 "A    ",
                 "=====   ")  # fmt: skip


def test_without_a_window_it_counts_for_ever():
    assert_drawn({"event": "A"},
                 "  A      ",
                 "  =======")  # fmt: skip


def test_events_at_the_edge_of_each_other_s_window():
    assert_drawn({"event": "A", "within": "5s", "count": {"at_least": 2}},
                 "A    A   A     ",
                 "         =     ")  # fmt: skip


@pytest.mark.parametrize(("later_ms", "drawn"), [(4_999, [(4_999, 5_000)]), (5_000, []), (5_001, [])])
def test_the_second_event_a_millisecond_before_and_after_the_edge(later_ms, drawn):
    twice = {"event": "A", "within": "5s", "count": {"at_least": 2}}
    assert spans(twice, at(0), at(later_ms), until=20_000) == drawn


def test_rows_that_share_a_timestamp_expire_together():
    """Two of three rows expire together: the count goes from 3 to 1, without a 2 between."""
    assert_drawn({"event": "A", "within": "5s", "count": {"equals": 2}},
                 "A  A      ",
                 "A         ",
                 "===       ")  # fmt: skip
    assert_drawn({"event": "A", "within": "5s", "count": {"in": [1, 3]}},
                 "A  A      ",
                 "A         ",
                 "   =====  ")  # fmt: skip


def test_absence_is_a_count_of_none():
    assert_drawn({"event": "A", "within": "3s", "count": {"equals": 0}},
                 "B A    A  ",
                 "==   ==   ")  # fmt: skip


@pytest.mark.parametrize(
    "wanted", [{"less_than": 1}, {"at_most": 0}, {"at_most": 0.9}, {"not_in": [1, 2, 3]}]
)
def test_absence_however_it_is_tested(wanted):
    assert_drawn({"event": "A", "within": "3s", "count": wanted},
                 "B A    A  ",
                 "==   ==   ")  # fmt: skip


# Sums, averages, least and greatest


def test_a_sum_changes_as_events_enter_and_leave():
    assert_drawn({"event": ["a", "b"], "within": "4s", "sum": {"of": X, "at_least": 3}},
                 "a b  b a   ",
                 "  == = ==  ",
                 a={"x": 1}, b={"x": 2})  # fmt: skip


def test_a_sum_of_nothing_is_0_and_an_average_of_nothing_is_none():
    assert_drawn({"event": "A", "within": "2s", "sum": {"of": X, "equals": 0}},
                 "B A   A ",
                 "==  ==  ",
                 A={"x": 5})  # fmt: skip
    assert_drawn({"event": "A", "within": "2s", "average": {"of": X, "not_equals": 7}},
                 "B A   A ",
                 "  ==  ==",
                 A={"x": 5})  # fmt: skip


def test_an_average_counts_the_numbers_and_not_the_events():
    measure = kind_of("average", within="10s", of="properties.x[].n")
    memory = remembered(measure, (0, [{"n": 1}, {"n": "2"}, {"n": None}, {}]), (1, [{"n": 6}]), (2, []))
    assert timeline(measure, memory, 2) == [(2, 3), (10, 6), (11, None)]


def test_a_greatest_value_lasts_until_its_own_event_leaves():
    assert_drawn({"event": ["a", "b"], "within": "5s", "max": {"of": X, "at_least": 2}},
                 "b a  a  ",
                 "=====   ",
                 a={"x": 1}, b={"x": 2})  # fmt: skip


def test_greatest_and_least_keep_only_what_can_still_be_the_one():
    greatest, least = kind_of("max", within="10s"), kind_of("min", within="10s")
    log = [(0, 5), (1, 9), (2, 7), (3, 7), (4, 8), (4, 3)]
    assert timeline(greatest, remembered(greatest, *log), 4) == [(4, 9), (11, 8), (14, None)]
    assert timeline(least, remembered(least, *log), 4) == [(4, 3), (14, None)]
    assert len(remembered(greatest, *log)[0]) == 3
    assert len(remembered(least, *log)[0]) == 1


def test_a_late_great_value_is_found_again():
    greatest = kind_of("max", within="10s")
    memory = remembered(greatest, (5, 7), (1, 9), (3, 8), (2, 6))
    assert timeline(greatest, memory, 5) == [(5, 9), (11, 8), (13, 7), (15, None)]


@pytest.mark.parametrize("measure", ["sum", "average", "min", "max"])
def test_what_is_no_number_counts_for_nothing(measure):
    kind = kind_of(measure, within="10s")
    memory = remembered(kind, (0, 5), (1, True), (2, "five"), (3, None), (4, [5]), (5, 2e15), (6, "5"))
    assert timeline(kind, memory, 6)[0][1] == (10 if measure == "sum" else 5)


# First and last


def test_first_moves_on_when_the_earliest_leaves_and_last_stays():
    first = {"event": ["a", "b"], "within": "4s", "first": {"of": X, "equals": 1}}
    last = {"event": ["a", "b"], "within": "4s", "last": {"of": X, "equals": 1}}
    assert_drawn(first,
                 "a b a   ",
                 "====  ==",
                 a={"x": 1}, b={"x": 2})  # fmt: skip
    assert_drawn(last,
                 "a b a   ",
                 "==  ====",
                 a={"x": 1}, b={"x": 2})  # fmt: skip


def test_ties_go_by_the_bytes_of_the_message_id():
    tied = [at(0, message_id=i, x=i) for i in ("m9", "m\uffff", "m10", "m\U00010000")]
    assert_ends_in_any_order(tied, first="m10", last="m\U00010000")


def test_ties_go_by_the_whole_message_id():
    tied = [at(0, message_id="m" * 300 + end, x=end) for end in ("2", "3", "1")]
    assert_ends_in_any_order(tied, first="1", last="3")


def assert_ends_in_any_order(tied, **ends):
    for arrival in (tied, tied[::-1], tied[2:] + tied[:2]):
        for measure, value in ends.items():
            assert spans({"event": "A", measure: {"of": X, "equals": value}}, *arrival, until=1) == [
                (0, None)
            ]
            windowed = {"event": "A", "within": "1s", measure: {"of": X, "equals": value}}
            assert spans(windowed, *arrival, until=2_000) == [(0, 1_000)]


def test_an_event_without_a_scalar_there_is_none_of_them():
    measure = kind_of("last", within="10s")
    memory = remembered(measure, (0, "a"), (1, None), (2, ["b"]), (3, {"b": 1}))
    assert timeline(measure, memory, 3) == [(3, "a"), (10, None)]


def test_first_without_a_window_is_the_earliest_whenever_it_comes():
    measure = kind_of("first")
    assert timeline(measure, remembered(measure, (5, "b"), (9, "c"), (-1e6, "a"), (0, "d")), 9) == [(9, "a")]


# Distinct


def test_a_value_counts_from_its_latest_event():
    assert_drawn({"event": ["a", "b"], "within": "4s", "distinct": {"of": X, "at_least": 2}},
                 "a b  a    ",
                 "  == =    ",
                 a={"x": 1}, b={"x": 2})  # fmt: skip


def test_values_are_different_as_the_language_says():
    values = [1, 1.0, "1", True, False, 0, "x" * 300, "x" * 301, 2**63, float(2**63), None, [1], {}]
    measure = kind_of("distinct", within="1m")
    assert timeline(measure, remembered(measure, *enumerate(values)), 12)[0][1] == 8


def test_a_late_event_does_not_make_a_value_older():
    measure = kind_of("distinct", within="10s")
    assert timeline(measure, remembered(measure, (5, "a"), (2, "a"), (5, "b")), 5) == [(5, 2), (15, 0)]


def test_late_and_merged_events_do_not_make_any_of_several_values_older():
    measure = kind_of("distinct", within="10s", of="properties.x[]")
    late = remembered(measure, (5, ["a", "b"]), (2, ["a", "c"]))
    ours, theirs = remembered(measure, (5, ["a", "b"])), remembered(measure, (2, ["a", "c"]))
    expected = [(5, 3), (12, 2), (15, 0)]
    assert timeline(measure, late, 5) == expected
    assert timeline(measure, measure.merge(ours, theirs, START_MS + 5_000), 5) == expected


# Bounds


def test_the_thousand_newest_events_count():
    kind = kind_of("count", within="400d")
    assert isinstance(kind, Count)
    dropped = []
    memory = kind.fresh()
    for second in range(MAX_EVENTS + 5):
        one = event(second, "A")
        dropped += kind.add(memory, one, kind.extract(one.name, one.message), one.timestamp_ms)
    assert dropped == [START_MS + 1000 * second for second in range(5)]
    assert timeline(kind, memory, 1004)[0] == (1004, 1000)
    assert timeline(kind, memory, 1004)[1] == (400 * 86_400 + 5, 999)


@pytest.mark.parametrize("measure", ["sum", "average", "first", "distinct", "max"])
def test_up_to_a_thousand_events_every_measure_is_exact(measure):
    kind = kind_of(measure, within="400d")
    values = range(MAX_EVENTS, 0, -1)  # the greatest first, so that each is a step of the staircase
    memory = remembered(kind, *((second, value) for second, value in enumerate(values)))
    expected = {"sum": 500_500, "average": 500.5, "first": 1000, "distinct": 1000, "max": 1000}
    assert timeline(kind, memory, 999)[0][1] == expected[measure]
    one_more = event(1000, "A", x=0)
    assert kind.add(
        memory, one_more, kind.extract(one_more.name, one_more.message), one_more.timestamp_ms
    ) == [START_MS]
    after = {"sum": 499_500, "average": 499.5, "first": 999, "distinct": 1000, "max": 999}
    assert timeline(kind, memory, 1000)[0][1] == after[measure]


def test_an_event_counts_once_however_many_elements_it_has():
    kind = kind_of("distinct", within="400d", of="properties.x[]")
    memory = remembered(
        kind, *((second, [f"{second} {n}" for n in range(5)]) for second in range(MAX_EVENTS))
    )
    assert timeline(kind, memory, 999)[0][1] == 5 * MAX_EVENTS


def test_a_count_keeps_no_more_than_its_test_needs():
    fold = folded(
        {"event": "A", "within": "1h", "count": {"at_least": 3}}, *(at(1000 * s) for s in range(50))
    )
    (memory,) = fold.profile.state.memories.values()
    assert [START_MS + 1000 * s for s in (47, 48, 49)] == memory[0]
    assert fold.members() == {"s": START_MS + 47_000 + 3_600_000}


# Served


RECENT = {"measures": {"m": {"event": "A", "within": "5s", "count": {}}}}


def test_a_value_that_drifted_is_served_with_the_next_event():
    fold = folded({"event": "Z"}, at(0), at(1000), sections=RECENT)
    assert fold.snapshots[-1].measures == {"m": 2}
    fold.advance(START_MS + 5_500)
    fold.apply(at(5_500, "B"))
    assert fold.snapshots[-1].measures == {"m": 1}


def test_that_a_value_drifts_by_time_alone_writes_nothing():
    fold = folded({"event": "Z"}, at(0), sections=RECENT)
    assert fold.advance(START_MS + 60_000).snapshot is None


def test_a_value_that_drifted_and_came_back_is_written_again():
    """m falls to 1 and is served so when s is left; the next event brings it back to 2, which is a difference."""
    fold = folded({"event": "B", "within": "5s"}, at(0), at(500, "B"), at(1000), sections=RECENT)
    assert fold.snapshots[-1].measures == {"m": 2}
    assert fold.advance(START_MS + 5_500).snapshot.measures == {"m": 1}
    assert fold.apply(at(5_600)).snapshot.measures == {"m": 2}


def test_true_is_not_served_like_1():
    sections = {"measures": {"m": {"event": "A", "last": {"of": X}}}}
    fold = folded({"event": "Z"}, at(0, x=1), sections=sections)
    assert fold.apply(at(1, x=True)).snapshot.measures["m"] is True


# Merging


@pytest.mark.parametrize("window", [{}, {"within": "400d"}])
@pytest.mark.parametrize("measure", ["count", "sum", "average", "min", "max", "distinct", "first", "last"])
def test_merging_keeps_the_newest_thousand_of_both(measure, window):
    kind = kind_of(measure, **window)
    log = [(second, value) for second, value in enumerate(range(3000, 1500, -1))]
    ours, theirs = remembered(kind, *log[::2]), remembered(kind, *log[1::2])
    profile_time_ms = START_MS + 1_500_000
    if isinstance(kind, Count | Sum | Distinct | First | Max) and measure not in ("last", "min") and window:
        assert len(kind.merge(ours, theirs, profile_time_ms)[0]) == MAX_EVENTS
    else:
        merged, whole = kind.merge(ours, theirs, profile_time_ms), remembered(kind, *log)
        assert timeline(kind, merged, 1500) == timeline(kind, whole, 1500)


def test_merging_hides_before_it_drops():
    """Of 1,500 numbers most are hidden by a later, greater one, so none is dropped for their number."""
    kind = kind_of("max", within="400d")
    ours = remembered(kind, (0, 9), *((second, -second) for second in range(1, 900)))
    theirs = remembered(kind, *((second + 0.5, -second) for second in range(1, 600)), (950, 5))
    merged = kind.merge(ours, theirs, START_MS + 950_000)
    assert timeline(kind, merged, 950) == [(950, 9), (400 * 86_400, 5), (400 * 86_400 + 950, None)]


numbers = st.sampled_from([0.1, 0.7, 1e15, -1e15, 5, -0.0, 49.99, 5e-324]) | st.floats(-1e15, 1e15)


@examples(200)
@given(values=st.lists(numbers, min_size=1, max_size=60), gap=st.integers(1, 3))
def test_what_is_left_of_a_sum_is_exact_however_many_go_before(values, gap):
    sums, averages = kind_of("sum", within="1h"), kind_of("average", within="1h")
    log = [(gap * number, value) for number, value in enumerate(values)]
    last = log[-1][0]
    lefts = [values[gone:] for gone in range(len(values) + 1)]
    seconds = [last, *(second + 3600 for second, _ in log)]
    assert timeline(sums, remembered(sums, *log), last) == [
        (second, fsum(left)) for second, left in zip(seconds, lefts, strict=True)
    ]
    assert timeline(averages, remembered(averages, *log), last) == [
        (second, fsum(left) / len(left) if left else None)
        for second, left in zip(seconds, lefts, strict=True)
    ]
