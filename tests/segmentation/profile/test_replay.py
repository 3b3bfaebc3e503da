"""A profile's changes, computed from its log, are the same as live."""

from hypothesis import given
from hypothesis import strategies as st

from segmentation.profile.replay import ProfileFold
from tests.events import START_MS
from tests.reference.evaluator import Reference
from tests.reference.strategies import LAST_MS, message_logs, rule_files
from tests.segmentation.folding import (
    NOW_MS,
    PROFILE_ID,
    Fold,
    event_of,
    examples,
    expected_members,
    members_of,
    rules_for,
    rules_of,
    spans_of,
    time_of,
)
from tests.segmentation.pictures import at


def folded(rules, *messages, as_of: int) -> ProfileFold:
    return ProfileFold(PROFILE_ID, rules).fold(map(event_of, messages), START_MS + as_of)


def test_time_runs_to_the_end_and_not_past_it():
    rules = rules_for(s={"event": "A", "within": "5s"})
    assert [change.change for change in folded(rules, at(0), as_of=4_999).changes] == ["entered"]
    assert [change.change for change in folded(rules, at(0), as_of=5_000).changes] == ["entered", "exited"]


def test_a_later_event_has_not_happened_yet():
    rules = rules_for(s={"event": "A"})
    assert folded(rules, at(1_001), at(0, "B"), as_of=1_000).changes == []
    assert [change.event_time_ms for change in folded(rules, at(1_000), as_of=1_000).changes] == [
        START_MS + 1_000
    ]


def test_without_events_there_are_no_changes():
    nothing = folded(rules_for(s={"not": {"event": "A"}}), as_of=10**12)
    assert (nothing.changes, nothing.snapshot) == ([], None)


def test_a_first_event_decides_what_refers_to_a_segment_that_it_keeps_from_holding():
    rules = rules_for(
        newcomer={"not": {"event": "A"}},
        known={"not": {"segment": "newcomer"}},
        acquainted={"all": [{"segment": "known"}, {"not": {"event": "B"}}]},
    )
    for first, members in ("A", {"known", "acquainted"}), ("B", {"newcomer"}):
        fold = folded(rules, at(0, first), as_of=0)
        assert fold.snapshot is not None
        assert set(fold.snapshot.segments) == members


def test_the_last_snapshot_counts():
    fold = folded(rules_for(s={"event": "A"}), at(0), at(1, "B"), as_of=2)
    assert fold.snapshot is not None
    assert list(fold.snapshot.segments) == ["s"]


@examples(60)
@given(content=rule_files(), log=message_logs(), cut=st.integers(-5_000, 400_000))
def test_a_fold_equals_the_live_profile_up_to_the_as_of_instant(content, log, cut):
    rules = rules_of(content)
    as_of_ms = min((time_of(log[0]) if log else START_MS) + cut, LAST_MS)  # time ends with the year 9999
    happened = [message for message in log if time_of(message) <= as_of_ms]
    replayed = ProfileFold(PROFILE_ID, rules, now_ms=NOW_MS).fold(map(event_of, log), as_of_ms)
    live = Fold(rules).apply_all(happened)
    live.advance(as_of_ms)
    assert replayed.changes == live.changes
    reference = Reference(content, happened)
    for name in content["segments"]:
        assert spans_of(replayed.changes, name) == reference.intervals(name, as_of_ms)
    members = members_of(replayed.snapshot) if replayed.snapshot else {}
    assert members == expected_members(reference, content["segments"], as_of_ms)
