"""The state of a profile: which repeats it recognizes, and which bytes it decodes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Outcome, Profile, open_profile
from segmentation.profile.state import (
    MAX_RECENT_MESSAGES,
    State,
    add_message,
    decode,
    digest_of,
    encode,
    has_other_content,
    is_recent,
)
from segmentation.rules.compiled import Rules
from tests.events import START_MS
from tests.segmentation.folding import NOW_MS, PROFILE_ID, examples, rules_for
from tests.segmentation.pictures import at, folded

LAST = [f"m{number}" for number in range(MAX_RECENT_MESSAGES + 3)]


def state_after(*message_ids: str) -> State:
    """Returns a state after messages, each with its length as its content digest."""
    state = State(0, 0, 0, "")
    for message_id in message_ids:
        add_message(state, digest_of(message_id), len(message_id))
    return state


def recent_of(message_ids: list[str]) -> bytes:
    return state_after(*message_ids).recent_messages


# Repeats


def test_repeats_of_the_last_thousand_messages_are_known_and_no_others():
    recent = recent_of(LAST)
    assert [message_id for message_id in LAST if not is_recent(recent, digest_of(message_id))] == LAST[:3]
    assert not is_recent(recent, digest_of("another"))


def test_a_digest_is_found_only_where_one_begins():
    one, other = digest_of("one"), digest_of("other")
    recent = one + other
    assert is_recent(recent, one)
    assert is_recent(recent, other)
    for offset in range(1, 8):
        assert not is_recent(recent, recent[offset : offset + 8])
    hidden = recent[4:12]
    assert is_recent(recent + hidden, hidden)


@examples(100)
@given(message_ids=st.lists(st.text(max_size=4), max_size=20), other=st.text(max_size=4))
def test_an_id_is_known_just_when_it_came(message_ids, other):
    assert is_recent(recent_of(message_ids), digest_of(other)) == (other in message_ids)


def test_a_repeat_with_other_content_is_told_from_a_true_one():
    state = state_after(*LAST)
    for message_id in LAST[3:]:
        assert not has_other_content(state, digest_of(message_id), len(message_id))
        assert has_other_content(state, digest_of(message_id), 7)
    assert not has_other_content(state, digest_of(LAST[0]), 7), "it is no repeat any more"


def test_a_repeat_of_a_message_from_before_content_was_kept_does_not_differ():
    state = state_after("old", "older")
    state.recent_contents = b""
    add_message(state, digest_of("new"), 3)
    assert not has_other_content(state, digest_of("old"), 7)
    assert has_other_content(state, digest_of("new"), 7)


def test_broken_sdks_that_give_several_events_one_id_are_noticed():
    fold = folded({"event": "B", "count": {"at_least": 2}}, at(0, "B", message_id="m", total=1))
    again = fold.apply(at(1, "B", message_id="m", total=1))
    assert (again.repeated, again.differs) == (True, False)
    for other in (at(2, "B", message_id="m", total=2), at(2, "C", message_id="m", total=1)):
        outcome = fold.apply(other)
        assert (outcome.repeated, outcome.differs) == (True, True)


def test_the_thousandth_last_message_changes_nothing_and_the_one_before_counts_again():
    log = [
        at(number, "B", message_id=message_id)
        for number, message_id in enumerate(LAST[: MAX_RECENT_MESSAGES + 1])
    ]
    fold = folded({"event": "B", "count": {"more_than": MAX_RECENT_MESSAGES + 1}}, *log)
    before = fold.profile.encode()
    assert fold.apply(log[1]).repeated
    assert fold.apply(at(5, message_id=LAST[1])).repeated  # whatever else it says
    assert fold.profile.encode() == before
    assert not fold.apply(log[0]).repeated
    assert fold.members() == {"s": None}


def test_a_message_that_no_rule_names_is_remembered_all_the_same():
    fold = folded({"event": "A"}, at(0, "Z", message_id="m"))
    assert fold.apply(at(1, "A", message_id="m")).repeated
    assert fold.members() == {}


# Bytes


def test_a_state_is_what_it_was_before_encoding():
    fold = folded({"event": "A", "within": "1h", "count": {"at_least": 2}}, at(0), at(1))
    encoded = fold.profile.encode()
    again = decode(encoded)
    assert again.members == fold.profile.state.members
    assert again.verdicts == fold.profile.state.verdicts
    assert encode(again) == encoded  # also of memories that were never looked at


def test_a_new_field_at_the_end_is_absent_from_older_bytes():
    least = [7, 5, 6, "rules"]
    state = decode(b"\x01" + msgspec.msgpack.encode(least))
    assert (state.version, state.profile_time_ms, state.last_event_ms, state.rules_version) == (
        7,
        5,
        6,
        "rules",
    )
    assert state.memories == state.members == {}
    assert state.dropped_events == 0


def test_one_state_shares_nothing_with_another():
    one, other = State(0, 0, 0, ""), State(0, 0, 0, "")
    one.memories[1] = [1]
    assert other.memories == {}


@pytest.mark.parametrize(
    "encoded",
    [b"", b"\x00", b"\x01", b"\x02\x90", b"\x01\xc1", b"\x01\x90", b"{}", b"\x01\x94\x01\x02\x03\x04"],
)
def test_bytes_of_nothing_that_this_program_wrote_are_refused(encoded):
    with pytest.raises(ValueError):  # noqa: PT011 - any message will do
        decode(encoded)


def test_half_of_a_state_is_refused():
    encoded = folded({"event": "A"}, at(0)).profile.encode()
    for length in range(len(encoded)):
        with pytest.raises(ValueError):  # noqa: PT011
            decode(encoded[:length])


# A profile's life


def silent(rules: Rules, ttl_ms: int) -> Profile:
    return Profile(PROFILE_ID, rules, ttl_ms, None, NOW_MS)


def test_a_new_profile_is_empty_and_waits_for_nothing():
    profile = silent(rules_for(s={"not": {"event": "A"}}), 1000)
    assert profile.is_empty
    assert profile.deadline() > START_MS * 1000
    assert profile.advance(START_MS) == Outcome([], None)


def test_a_silent_profile_is_forgotten_at_its_last_event_and_ttl():
    day_ms = 86_400_000
    fold = folded({"not": {"event": "B"}}, at(0), at(10_000))
    fold.profile._ttl_ms = day_ms
    fold.profile._set_deadline()
    leaves_ms = START_MS + 10_000 + day_ms
    assert fold.members() == {"s": None}  # forgetting is no part of what a condition means
    assert fold.profile.deadline() == leaves_ms
    assert fold.advance(leaves_ms - 1).changes == []
    outcome = fold.advance(leaves_ms + 5)
    (change,) = outcome.changes
    assert (change.cause, change.change, change.event_time_ms) == ("forgotten", "exited", leaves_ms)
    assert outcome.snapshot is not None
    assert outcome.snapshot.deleted
    assert outcome.snapshot.version >= change.profile_version
    assert fold.profile.is_empty


def test_a_profile_that_comes_back_goes_on_with_its_versions_and_knows_nothing():
    fold = folded({"event": "A"}, at(0, message_id="m"))
    version = fold.profile.state.version
    fold.advance(START_MS + DEFAULT_PROFILE_TTL_MS)
    assert fold.profile.is_empty
    outcome = fold.apply(at(DEFAULT_PROFILE_TTL_MS + 1000, message_id="m"))
    assert not outcome.repeated
    assert not outcome.late
    assert [change.change for change in outcome.changes] == ["entered"]
    assert outcome.snapshot.version > version + 1


def test_a_profile_is_never_forgotten_within_the_longest_window():
    rules = rules_for(s={"event": "A", "within": "400d"}, t={"event": "A", "within": "1d"})
    profile = open_profile(PROFILE_ID, rules, 1000, None, NOW_MS)
    assert profile._ttl_ms == 400 * 86_400_000


def test_an_event_at_the_instant_of_forgetting_keeps_the_profile():
    fold = folded({"event": "A"}, at(0))
    assert fold.apply(at(DEFAULT_PROFILE_TTL_MS, "B")).changes == []
    assert fold.members() == {"s": None}


def test_versions_begin_at_the_creation_and_never_fall():
    profile = silent(rules_for(s={"event": "A"}), DEFAULT_PROFILE_TTL_MS)
    assert profile.state.version == NOW_MS * 4096
    assert NOW_MS * 4096 + 10**9 < 2**53
    # a clock that runs behind the one of an earlier life
    fold = folded({"event": "A"}, at(0))
    fold.profile._now_ms = 0
    before = fold.profile.state.version
    fold.profile.advance(START_MS + DEFAULT_PROFILE_TTL_MS)
    assert fold.profile.state.version > before
