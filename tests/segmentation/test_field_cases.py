"""Logs built after what users of such systems report, each with the outcome that they would expect.

The sources of the reports are beside each test. Names and ids are invented.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from segmentation.events import Event, EventLimits, InvalidEvent, parse_event
from segmentation.memberships import Change
from segmentation.profile.profile import Outcome, Profile
from segmentation.rules.load import load_rules
from segmentation.timestamps import format_timestamp, parse_timestamp

FOLDER = Path(__file__).with_name("field_cases")
DAY_MS = 86_400_000
NOON_MS = parse_timestamp("2026-03-01T12:00:00Z")


class Folded(NamedTuple):
    """The results of a log."""

    members: dict[str, set[str]]
    """Segments by profile, at the end."""
    changes: dict[str, list[Change]]
    """By profile."""
    outcomes: list[Outcome]
    dead_letters: list[InvalidEvent]


def folded(case: str, as_of_ms: int = NOON_MS, publish_time_ms: int | None = None) -> Folded:
    """Applies a case's log to its definitions; `publish_time_ms`: as if it were live."""
    rules = load_rules((FOLDER / f"{case}.yaml").read_text())
    limits = EventLimits(oldest_age_ms=400 * DAY_MS)
    found = Folded({}, {}, [], [])
    profiles: dict[str, Profile] = {}
    for line in (FOLDER / f"{case}.jsonl").read_bytes().splitlines():
        try:
            event: Event = parse_event(line, publish_time_ms, limits)
        except InvalidEvent as error:
            found.dead_letters.append(error)
            continue
        if event.timestamp_ms <= as_of_ms:
            profile_id = event.profile_id
            profile = profiles.setdefault(profile_id, Profile(profile_id, rules, 10**15, None, as_of_ms))
            found.outcomes.append(profile.apply(event))
            found.changes.setdefault(profile_id, []).extend(found.outcomes[-1].changes)
    for profile_id, profile in profiles.items():
        found.changes[profile_id] += profile.advance(as_of_ms).changes
        found.members[profile_id] = set(profile.state.members)
    return found


def stays(changes: list[Change], segment: str) -> list[str]:
    return [format_timestamp(change.event_time_ms) for change in changes if change.segment == segment]


def test_steps_in_one_instant_are_no_sequence():
    """rybbit-io/rybbit#1133, decentraland/godot-explorer#2440; docs/segment-language.md, *Events at one instant*."""
    found = folded("steps_in_one_instant", parse_timestamp("2026-03-01T10:31:00Z"))
    assert found.members["control"] == {"funnel"}
    assert found.members["php-second"] == found.members["half"] == {"abandoned"}


def test_reused_message_ids_are_counted():
    """PostHog/posthog#30692, segmentio/analytics-next#1028, segmentio/analytics-ruby#241"""
    found = folded("reused_message_ids")
    assert Counter((outcome.repeated, outcome.differs) for outcome in found.outcomes) == {
        (False, False): 3,
        (True, True): 2,
        (True, False): 1,
    }
    assert found.members == {"rn": set(), "other": {"buyer"}, "fine": set()}


def test_placeholders_make_no_customers():
    """PostHog/posthog#12008, #876, #5527"""
    found = folded("placeholder_user_ids")
    assert len(found.members) == 30
    assert not any(found.members.values())


def test_keys_with_dots_and_brackets_can_be_named():
    """fullstorydev/fullstory-data-layer-observer#88, PostHog/posthog#64135, dittofeed/dittofeed#1135"""
    assert folded("keys_with_dots").members == {
        "nested": {"flat_dot"},
        "flat": {"quoted_dot"},
        "php-form": {"quoted_brackets", "quoted_list_suffix", "dollar"},
        "traits": {"hyphen_trait", "space_trait"},
        "list": {"list_suffix_key"},
    }


def test_timestamps_are_read_for_certain_or_refused_by_name():
    """segmentio/analytics-kotlin#170, segmentio/analytics-android#350, segmentio/analytics-go#109"""
    four_pm_ms = parse_timestamp("2026-03-01T16:00:00Z")
    found = folded("timestamps", four_pm_ms, publish_time_ms=four_pm_ms)
    right_ms = parse_timestamp("2026-03-01T10:00:00Z")
    seconds_off = {
        profile_id[:2]: (changes[0].event_time_ms - right_ms) // 1000
        for profile_id, changes in found.changes.items()
    }
    certain = ("00", "01", "02", "03", "04", "05", "07", "08", "09", "10", "14", "15", "16", "26", "35")
    assert seconds_off == {**dict.fromkeys(certain, 0), "25": 5 * 3600}
    assert Counter(letter.reason for letter in found.dead_letters) == {
        "bad_timestamp": 17,
        "future_timestamp": 1,
        "too_old": 3,
    }
    for letter in found.dead_letters:
        assert letter.reason != "bad_timestamp" or "; found " in str(letter), str(letter)


def test_zero_times_and_far_times_are_no_visits():
    """segment-boneyard/segment-docs#5075, PostHog/posthog#39428, sensu/sensu-go#2783"""
    live = folded("zero_and_far_times", publish_time_ms=NOON_MS)
    assert [letter.reason for letter in live.dead_letters] == ["too_old", "too_old", "future_timestamp"]
    expected = {"never_ordered", "browsing", "first_is_newsletter"}
    assert live.members == dict.fromkeys(("go-zero", "epoch", "buddhist"), expected)
    for changes in live.changes.values():
        assert {format_timestamp(change.event_time_ms) for change in changes} == {"2026-03-01T10:00:00.000Z"}
    logged = folded("zero_and_far_times")
    assert not logged.dead_letters, "a log may go back for years"


def test_times_before_1970_are_times():
    """Countly/countly-sdk-react-native#6"""
    found = folded("before_1970").changes
    for profile_id, entry, exit_ in (
        ("before", "1969-12-31T12:00:00.000Z", "1969-12-31T12:10:00.000Z"),
        ("after", "1970-01-01T12:00:00.000Z", "1970-01-01T12:10:00.000Z"),
        ("across", "1969-12-31T23:55:00.000Z", "1970-01-01T00:05:00.000Z"),
    ):
        for segment in ("one", "any_of_one", "any_of_two"):
            assert stays(found[profile_id], segment) == [entry, exit_], (profile_id, segment)
        assert stays(found[profile_id], "all_with_absence") == [exit_]
