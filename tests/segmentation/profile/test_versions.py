"""The versions of a profile: they grow with the clock of its creation and with its changes, and stay below 2^53."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile, open_profile
from segmentation.profile.versions import LAST_VERSION, first_version, next_version
from segmentation.timestamps import MAX_MS, parse_timestamp
from tests.segmentation.folding import event_of, rules_of

INSTANTS = st.integers(0, parse_timestamp("2214-12-14T00:00:00Z"))
RULES = rules_of({"version": 1, "measures": {"count": {"event": "A", "within": "400d", "count": {}}}})


def profile_at(now: str, encoded: bytes | None = None) -> Profile:
    return open_profile("alice", RULES, DEFAULT_PROFILE_TTL_MS, encoded, parse_timestamp(now))


def versions_after(profile: Profile, *message_ids: str) -> list[int]:
    """Returns the version of the snapshot after each event."""
    versions = []
    for message_id in message_ids:
        message = {"type": "track", "event": "A", "userId": "alice", "messageId": message_id}
        snapshot = profile.apply(event_of(message | {"timestamp": "2026-01-31T12:00:00Z"})).snapshot
        assert snapshot is not None
        versions.append(snapshot.version)
    return versions


def test_those_of_earlier_releases_stay_as_they_were_until_2028() -> None:
    for now in ("2023-11-14T22:13:20Z", "2026-11-27T12:00:00Z", "2027-12-31T23:59:59.999Z"):
        assert first_version(parse_timestamp(now)) == parse_timestamp(now) * 4096


def test_there_is_room_until_2200_and_beyond() -> None:
    in_2200 = first_version(parse_timestamp("2200-12-31T23:59:59.999Z"))
    assert in_2200 + 10**12 < LAST_VERSION == 2**53 - 1
    assert first_version(parse_timestamp("2214-12-14T00:00:00Z")) < LAST_VERSION


@given(INSTANTS, st.integers(1, 10**12))
def test_a_later_creation_has_higher_ones_and_room_for_changes_between(earlier_ms: int, gap_ms: int) -> None:
    later = first_version(earlier_ms + gap_ms)
    assert later >= first_version(earlier_ms) + min(gap_ms * 256, LAST_VERSION - first_version(earlier_ms))


@pytest.mark.parametrize("around_ms", range(-3, 4))
def test_they_grow_around_the_change_of_2028(around_ms: int) -> None:
    at_ms = parse_timestamp("2028-01-01T00:00:00Z") + around_ms
    assert first_version(at_ms + 1) - first_version(at_ms) == (4096 if around_ms < 0 else 256)


def test_an_impossible_clock_has_the_first_or_the_last_one() -> None:
    assert first_version(-1) == 0
    assert first_version(parse_timestamp("2215-01-01T00:00:00Z")) == first_version(MAX_MS) == LAST_VERSION
    assert next_version(LAST_VERSION - 1) == next_version(LAST_VERSION) == LAST_VERSION


@pytest.mark.parametrize("now", ["2027-12-31T23:59:59.999Z", "2028-01-01T00:00:00Z", "2039-01-01T00:00:00Z"])
def test_a_state_of_an_earlier_release_goes_on_from_its_version(now: str) -> None:
    profile = profile_at(now)
    profile.state.version = parse_timestamp(now) * 4096  # as an earlier release began
    (before,) = versions_after(profile, "m1")
    reopened = profile_at("2026-12-01T00:00:00Z", profile.encode())
    assert versions_after(reopened, "m2", "m3") == [before + 1, before + 2]


def test_at_the_end_of_all_versions_a_profile_goes_on_with_the_last_one() -> None:
    profile = profile_at("2300-01-01T00:00:00Z")
    assert versions_after(profile, "m1", "m2", "m3") == [LAST_VERSION] * 3


def test_a_version_beyond_the_last_one_of_an_earlier_release_becomes_the_last_one() -> None:
    profile = profile_at("2040-01-01T00:00:00Z")
    profile.state.version = parse_timestamp("2040-01-01T00:00:00Z") * 4096
    assert versions_after(profile, "m1") == [LAST_VERSION]
