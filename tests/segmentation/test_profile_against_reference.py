"""The core against the brute-force evaluator, over random rules and logs whose events meet at window edges.

The core takes each log event by event through its own `apply`, in order of arrival. What it must say is decided by
the reference from all of the events at once.
"""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.timestamps import NEVER
from tests.reference.evaluator import Reference
from tests.reference.strategies import BASE_MS, DURATIONS_MS, arrivals, message_logs, rule_files
from tests.segmentation.folding import (
    NOW_MS,
    Fold,
    assert_serves,
    content_of,
    examples,
    expected_members,
    rules_of,
    spans_of,
    time_of,
)

LONGEST_MS = max(DURATIONS_MS.values())

Message = dict[str, Any]
Content = dict[str, Any]


def few_or_many(few: int, many: int):
    """Runs a check on few random examples in `make test`, and on many in `make test-long`."""
    return pytest.mark.parametrize(
        "count", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.long)]
    )


def end_of(log: list[Message]) -> int:
    """Long after the last event: every window, and every wait after it, is over."""
    return max(map(time_of, log), default=BASE_MS) + 2 * LONGEST_MS


def pauses(after_ms: int, before_ms: int) -> st.SearchStrategy[list[int]]:
    """Instants between two events, on edges of windows more often than not."""
    edges = [after_ms + length + nudge for length in DURATIONS_MS.values() for nudge in (-1, 0, 1)]
    inside = [t_ms for t_ms in edges if after_ms < t_ms < before_ms]
    if before_ms - after_ms < 2:
        return st.just([])
    one = st.integers(after_ms + 1, before_ms - 1)
    return st.lists(st.sampled_from(inside) | one if inside else one, max_size=2).map(sorted)


def first_accepted(messages: list[Message]) -> list[Message]:
    """Of each messageId the message that arrived first."""
    first: dict[str, Message] = {}
    for message in messages:
        first.setdefault(message["messageId"], message)
    return list(first.values())


@st.composite
def arrivals_with_impostors(draw: st.DrawFn, log: list[Message]) -> list[Message]:
    """The messages of a log in any order, some repeated, and some with the content of another under their id."""
    arrived = draw(arrivals(log))
    for position in draw(st.lists(st.sampled_from(range(len(arrived))), max_size=2)) if arrived else ():
        arrived[position] = draw(st.sampled_from(log)) | {"messageId": arrived[position]["messageId"]}
    return arrived


@few_or_many(60, 4000)
def test_in_order_the_history_holds_exactly_the_intervals(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), reopened=st.booleans())
    def check(content: Content, log: list[Message], reopened: bool) -> None:
        reference, fold = Reference(content, log), Fold(rules_of(content), reopened)
        as_of_ms = end_of(log)
        fold.apply_all(log)
        fold.advance(as_of_ms)
        last_of_instant = {time_of(message): message["messageId"] for message in log}
        for name in content["segments"]:
            assert spans_of(fold.changes, name) == reference.intervals(name, as_of_ms), name
        for change in fold.changes:
            assert change.cause in ("event", "time")
            assert (change.message_id is None) == (change.cause == "time")
            assert not change.correction
            if change.change == "entered" and last_of_instant.get(change.event_time_ms) == change.message_id:
                expires_at_ms = reference.expires_at(change.segment, change.event_time_ms)
                assert change.expires_at_ms == expires_at_ms
        assert not any(outcome.late or outcome.repeated or outcome.dropped_events for outcome in fold.outcomes)
        assert fold.members() == expected_members(reference, content["segments"], as_of_ms)

    check()


@few_or_many(60, 4000)
def test_what_is_served_is_right_after_every_event_and_at_instants_between(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        reference, fold = Reference(content, log), Fold(rules_of(content))
        instants = sorted(set(map(time_of, log)))
        for t_ms, next_ms in pairwise([*instants, end_of(log)]):
            fold.apply_all(message for message in log if time_of(message) == t_ms)
            assert_serves(fold.snapshots[-1], reference, content, t_ms)
            for pause_ms in data.draw(pauses(t_ms, next_ms)):
                fold.advance(pause_ms)
                assert fold.members() == expected_members(reference, content["segments"], pause_ms)

    check()


@few_or_many(60, 4000)
def test_in_any_order_and_any_number_of_times_the_end_is_the_same(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), reopened=st.booleans(), data=st.data())
    def check(content: Content, log: list[Message], reopened: bool, data: st.DataObject) -> None:
        arrived = data.draw(arrivals_with_impostors(log))
        fold = Fold(rules_of(content), reopened)
        cut = data.draw(st.integers(0, len(arrived)))
        fold.apply_all(arrived[:cut])
        if cut:
            clock_ms = max(map(time_of, first_accepted(arrived[:cut])))
            assert_serves(fold.snapshots[-1], Reference(content, arrived[:cut]), content, clock_ms)
        fold.apply_all(arrived[cut:])
        accepted = first_accepted(arrived)
        reference = Reference(content, accepted)
        latest_ms, end_ms = max(map(time_of, accepted), default=BASE_MS), end_of(log)
        for t_ms in [latest_ms, *data.draw(pauses(latest_ms, end_ms)), end_ms]:
            fold.advance(t_ms)
            assert fold.members() == expected_members(reference, content["segments"], t_ms)
        assert sum(outcome.repeated for outcome in fold.outcomes) == len(arrived) - len(accepted)
        for change in fold.changes:
            assert change.correction == (change.cause == "late_event")
        for name in content["segments"]:
            is_open = [exited is None for _, exited in spans_of(fold.changes, name)][-1:] == [True]
            assert is_open == (name in fold.members())

    check()


@few_or_many(40, 2000)
def test_encoding_between_events_changes_nothing(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        rules, arrived = rules_of(content), data.draw(arrivals(log))
        kept, reopened = Fold(rules), Fold(rules, reopened=True)
        for message in arrived:
            assert kept.apply(message) == reopened.apply(message)
        for t_ms in [*data.draw(pauses(end_of(log) - LONGEST_MS, end_of(log))), end_of(log)]:
            assert kept.advance(t_ms) == reopened.advance(t_ms)
            assert kept.profile.deadline() == reopened.profile.deadline()

    check()


@few_or_many(60, 4000)
def test_timers_at_deadlines_and_at_any_instant_change_no_interval(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), timer_first=st.booleans(), data=st.data())
    def check(content: Content, log: list[Message], timer_first: bool, data: st.DataObject) -> None:
        reference, fold = Reference(content, log), Fold(rules_of(content))
        clock_ms = BASE_MS - LONGEST_MS
        for t_ms, message in [*((time_of(message), message) for message in log), (end_of(log), None)]:
            wakings = data.draw(pauses(clock_ms, t_ms)) if clock_ms < t_ms else []
            for waking_ms in wakings:
                fold.advance(waking_ms)
            while (deadline_ms := fold.profile.deadline()) < t_ms + timer_first:
                assert fold.advance(deadline_ms).changes
            if message is not None:
                fold.apply(message)
            clock_ms = t_ms
        fold.advance(clock_ms)
        for name in content["segments"]:
            assert spans_of(fold.changes, name) == reference.intervals(name, clock_ms)

    check()


@few_or_many(40, 2000)
def test_the_deadline_is_never_later_than_the_next_change(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        known = data.draw(arrivals(log))[: data.draw(st.integers(0, len(log)))]
        fold = Fold(rules_of(content)).apply_all(known)
        reference, end_ms = Reference(content, known), end_of(log)
        t_ms = max(map(time_of, known), default=BASE_MS)
        for pause_ms in [t_ms, *data.draw(pauses(t_ms, end_ms))]:
            fold.advance(pause_ms)
            spans = [span for name in content["segments"] for span in reference.intervals(name, end_ms)]
            edges = [edge for span in spans for edge in span if edge is not None and edge > pause_ms]
            assert fold.profile.deadline() <= min(edges, default=NEVER)

    check()


@few_or_many(60, 4000)
def test_versions_ids_and_snapshots(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        fold, again = Fold(rules_of(content)), Fold(rules_of(content), now_ms=NOW_MS + 86_400_000)
        written, version = None, fold.profile.state.version
        clock_ms = BASE_MS
        for message in data.draw(arrivals_with_impostors(log)):
            steps = [fold.apply(message)]
            again.apply(message)
            clock_ms = max(clock_ms, fold.profile.state.clock_ms)
            for pause_ms in data.draw(pauses(clock_ms, clock_ms + LONGEST_MS)):
                steps.append(fold.advance(pause_ms))
                again.advance(pause_ms)
            for outcome in steps:
                for change in outcome.changes:
                    assert change.profile_version > version
                    version = change.profile_version
                assert not (outcome.changes and outcome.snapshot is None)
                if outcome.snapshot is not None:
                    assert outcome.snapshot.version == version or not outcome.changes
                    assert outcome.snapshot.version >= version + (not outcome.changes)
                    version = outcome.snapshot.version
                    assert content_of(outcome.snapshot) != written
                    written = content_of(outcome.snapshot)
            assert all(outcome.snapshot is None or outcome.changes for outcome in steps[1:])
        ids = [change.change_id for change in fold.changes]
        assert len(set(ids)) == len(ids)
        assert ids == [change.change_id for change in again.changes]
        assert [change.event_time_ms for change in fold.changes] == [
            change.event_time_ms for change in again.changes
        ]

    check()
