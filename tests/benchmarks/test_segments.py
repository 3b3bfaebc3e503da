from benchmarks.data import repeated_events, rules_text
from benchmarks.fold import Fold
from benchmarks.segments import with_more_segments
from segmentation.rules.load import load_rules


def test_added_segments_are_valid_and_about_other_events():
    plain, more = load_rules(rules_text()), load_rules(with_more_segments(rules_text(), 100))
    assert len(more.segments) == len(plain.segments) + 100
    for event in repeated_events(500):
        assert len(more.affected_by(event.name).memories) == len(plain.affected_by(event.name).memories)


def test_added_segments_have_no_members():
    events = repeated_events(500)
    rules = load_rules(with_more_segments(rules_text(), 100))
    fold = Fold(rules, events[-1].timestamp_ms)
    fold.take(events)
    assert fold.states
    assert not any(b"added_" in state for state in fold.states.values())
