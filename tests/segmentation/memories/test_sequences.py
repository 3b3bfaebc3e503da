"""Sequences: order, gaps, shared values, and what must not follow.

In the drawings a column is a second, a letter an event, and `=` a second in which the profile is a member.
"""

import pytest

from segmentation.memories.rows import MAX_EVENTS
from tests.events import START_MS
from tests.segmentation.pictures import assert_drawn, at, folded, spans

A_THEN_B = {"sequence": [{"event": "A"}, {"event": "B"}], "within": "5s"}
ABC = {"sequence": [{"event": "A"}, {"event": "B"}, {"event": "C"}], "within": "9s"}


def test_it_lasts_until_the_first_step_leaves_the_window():
    assert_drawn(A_THEN_B,
                 "A  B      ",
                 "   ==     ")  # fmt: skip


def test_the_latest_start_lasts_longest():
    assert_drawn(A_THEN_B,
                 "A A B     ",
                 "    ===   ")  # fmt: skip
    assert_drawn(A_THEN_B,
                 "A  BA     ",
                 "   ==     ")  # fmt: skip


def test_several_instances_follow_on_each_other():
    assert_drawn(A_THEN_B,
                 "AB  A  B  ",
                 " ====  == ")  # fmt: skip
    assert_drawn(A_THEN_B,
                 "AB AB     ",
                 " =======  ")  # fmt: skip


@pytest.mark.parametrize(
    ("b_ms", "drawn"),
    [(0, []), (1, [(1, 5_000)]), (4_999, [(4_999, 5_000)]), (5_000, []), (5_001, [])],
)
def test_steps_have_strictly_increasing_timestamps_within_the_window(b_ms, drawn):
    assert spans(A_THEN_B, at(0), at(b_ms, "B"), until=20_000) == drawn
    assert spans(A_THEN_B, at(b_ms, "B"), at(0), until=20_000) in (drawn, [])  # B is late, where it is later


def test_one_event_is_not_two_steps():
    twice = {"sequence": [{"event": "A"}, {"event": ["A", "B"]}], "within": "5s"}
    assert spans(twice, at(0), until=9_000) == []
    assert spans(twice, at(0), at(0, message_id="another"), until=9_000) == []
    assert spans(twice, at(0), at(1, message_id="another"), until=9_000) == [(1, 5_000)]


def test_of_events_in_the_wrong_order_only_the_right_pairs_count():
    assert_drawn(ABC,
                 "B A  C B  C  ",
                 "          =  ")  # fmt: skip


@pytest.mark.parametrize(
    ("c_ms", "drawn"), [(2_999, [(2_999, 9_000)]), (3_000, [(3_000, 9_000)]), (3_001, [])]
)
def test_max_gap_is_inclusive_and_from_the_step_before(c_ms, drawn):
    gap = {**ABC, "sequence": [{"event": "A"}, {"event": "B"}, {"event": "C", "max_gap": "2s"}]}
    assert spans(gap, at(0), at(1_000, "B"), at(c_ms, "C"), until=20_000) == drawn


def test_a_gap_that_the_earlier_of_two_steps_fails_the_later_may_pass():
    gap = {
        **ABC,
        "sequence": [{"event": "A"}, {"event": "B", "max_gap": "2s"}, {"event": "C", "max_gap": "2s"}],
    }
    assert_drawn(gap,
                 "A B B C      ",
                 "             ")  # fmt: skip
    assert_drawn(gap,
                 "A BAB C      ",
                 "      ====== ")  # fmt: skip


# What must not follow: with c the last step's instant,
#   for: D      nothing in (c, t], from c + D on
#   during: D   nothing in (c, c + D], from c + D on; later matches do no harm


def absent(how: str, event: str = "X", **slot: object) -> dict:
    return {"sequence": [{"event": "A"}], "within": "9s", "then_not": {"event": event, how: "3s", **slot}}


def test_it_begins_when_the_wait_is_over():
    for how in ("for", "during"):
        assert_drawn(absent(how),
                     "A           ",
                     "   ======   ")  # fmt: skip


def test_a_later_match_ends_for_and_not_during():
    assert_drawn(absent("for"),
                 "A     X     ",
                 "   ===      ")  # fmt: skip
    assert_drawn(absent("during"),
                 "A     X     ",
                 "   ======   ")  # fmt: skip


@pytest.mark.parametrize("how", ["for", "during"])
@pytest.mark.parametrize(
    ("x_ms", "begins"), [(0, True), (1, False), (2_999, False), (3_000, False), (3_001, True)]
)
def test_a_match_at_the_last_step_itself_and_at_the_end_of_the_wait(how, x_ms, begins):
    ends = 3_001 if how == "for" and x_ms == 3_001 else 9_000
    log = sorted([at(0), at(x_ms, "X")], key=lambda message: message["timestamp"])
    assert spans(absent(how), *log, until=20_000) == ([(3_000, ends)] if begins else [])


def test_an_event_at_the_very_end_of_the_wait_comes_before_the_entry():
    """The timer is set for the same millisecond: whichever comes first, nothing is left of a membership."""
    fold = folded(absent("for"), at(0))
    fold.advance(START_MS + 3_000)
    fold.apply(at(3_000, "X"))
    entered, exited = fold.changes
    assert entered.event_time_ms == exited.event_time_ms == START_MS + 3_000
    assert (entered.cause, exited.cause) == ("time", "event")


def test_another_instance_stands_where_one_is_broken():
    assert_drawn(absent("for"),
                 "A X A        ",
                 "       ======")  # fmt: skip
    assert_drawn(absent("for"),
                 "A AX         ",
                 "             ")  # fmt: skip


def test_the_event_itself_matches_what_must_not_follow_it():
    assert_drawn(absent("for", "*"),
                 "A A          ",
                 "     ======  ")  # fmt: skip


def test_all_that_must_not_follow_has_to_be_absent():
    both = {**absent("for"), "then_not": [{"event": "X", "for": "2s"}, {"event": "Y", "during": "4s"}]}
    assert_drawn(both,
                 "A            ",
                 "    =====    ")  # fmt: skip
    assert_drawn(both,
                 "A     X      ",
                 "    ==       ")  # fmt: skip
    assert_drawn(both,
                 "A  Y         ",
                 "             ")  # fmt: skip
    assert_drawn(both,
                 "A     Y      ",
                 "    =====    ")  # fmt: skip


def test_a_late_match_breaks_what_had_begun():
    fold = folded(absent("for"), at(0), at(5_000, "B"))
    assert fold.members() == {"s": START_MS + 9_000}
    outcome = fold.apply(at(2_000, "X"))
    assert outcome.late
    (change,) = outcome.changes
    assert (change.change, change.cause, change.correction) == ("exited", "late_event", True)
    assert change.event_time_ms == START_MS + 5_000  # recorded at the profile time


def test_a_late_step_completes_what_was_missing():
    fold = folded(A_THEN_B, at(3_000, "B"), at(4_000, "C"))
    (change,) = fold.apply(at(2_000)).changes
    assert (change.change, change.event_time_ms) == ("entered", START_MS + 4_000)
    assert fold.members() == {"s": START_MS + 7_000}


# Shared values

SAME = {
    "sequence": [{"event": "A"}, {"event": "B", "same": "properties.p[].id"}],
    "within": "9s",
    "same": "properties.id",
}


def test_each_value_makes_an_instance_of_its_own():
    assert_drawn(SAME,
                 "a b B        ",
                 "    =======  ",
                 a={"name": "A", "id": 1}, b={"name": "A", "id": 2}, B={"p": [{"id": 3}, {"id": 2}]})  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("x", "x", True),
        (1, 1.0, True),
        (1, "1", False),
        (1, True, False),
        ("x" * 300, "x" * 300, True),
        ("x" * 300, "x" * 301, False),
        (10**30, 10**30, True),
        ("", "", True),
        (None, None, False),
        (["x"], ["x"], False),
    ],
)
def test_only_equal_scalars_are_shared(one, other, are_same):
    drawn = spans(SAME, at(0, id=one), at(1, "B", p=[{"id": other}]), until=1)
    assert drawn == ([(1, None)] if are_same else [])


def test_only_matches_that_carry_the_value_break_an_instance():
    bought = {**SAME, "sequence": [{"event": "A"}], "then_not": {"event": "X", "for": "3s"}}
    values = {"a": {"name": "A", "id": 1}, "b": {"name": "A", "id": 2}, "x": {"name": "X", "id": 1}}
    assert_drawn(bought,
                 "a x          ",
                 "             ",
                 **values)  # fmt: skip
    assert_drawn(bought,
                 "ab x         ",
                 "    ======   ",
                 **values)  # fmt: skip
    assert_drawn(bought,
                 "ab X         ",
                 "   =======   ",
                 **values)  # fmt: skip


# Bounds


def test_the_thousand_newest_events_of_each_step_are_remembered():
    first = [at(10 * n, message_id=f"a{n}") for n in range(MAX_EVENTS)]
    fold = folded({**A_THEN_B, "within": "1h"}, *first)
    assert fold.apply(at(5, "B")).changes[0].change == "entered"  # late, after the very first A
    assert fold.members() == {"s": START_MS + 3_600_000}
    more = folded({**A_THEN_B, "within": "1h"}, *first)
    assert more.apply(at(10 * MAX_EVENTS)).dropped_events == 1
    assert more.apply(at(5, "B")).changes == []  # what came before B is forgotten
    assert more.profile.state.dropped_events == 1
