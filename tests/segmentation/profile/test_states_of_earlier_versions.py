"""States that earlier versions of the program wrote open for ever, and go on rightly.

`fixtures/state_vN.bin` holds encoded states in format N: by profile what was left of `state_vN.events.jsonl`, folded
in that order under `state_vN.segments.yaml`. What it means stands in `state_vN.expected.json`, as the reference
evaluator says. `state_vN.edited.yaml` is a later edition of the rules.

A new format brings its own: put its rules and events beside the others (copies will do), then

    .venv/bin/python -m tests.segmentation.profile.test_states_of_earlier_versions N

writes `state_vN.bin` and `state_vN.expected.json`. It overwrites nothing: what was written once is what is out there.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from segmentation.events import parse_event
from segmentation.profile import state as states
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Outcome, Profile, open_profile
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.timestamps import format_timestamp
from tests.reference.evaluator import Reference
from tests.segmentation.folding import assert_same_value, expected_members, members_of, public_value, time_of

FIXTURES = Path(__file__).parent / "fixtures"
ROOT = Path(__file__).parents[3]
NOW_MS = 1_772_500_000_000
ONE_MORE = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "one more",
    "properties": {"product_id": "B", "price": 7, "category": "hats"},
    "context": {"device": {"type": "ios"}},
}


AS_THEY_WERE = {"seen", "busy", "by_measure", "engaged", "abandoner", "pro"}
"""The segments whose conditions are the same in the edited file."""


class Kept:
    """The fixture of one format: its states, its rules, and the expected content of its profiles."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.states: dict[str, bytes] = msgspec.msgpack.decode(self.path("bin").read_bytes())
        self.expected: dict[str, Any] = json.loads(self.path("expected.json").read_text())
        self.rules = self.rules_in("segments.yaml")

    def path(self, suffix: str) -> Path:
        return FIXTURES / f"state_v{self.version}.{suffix}"

    def rules_in(self, suffix: str) -> Rules:
        return load_rules(self.path(suffix).read_text())

    def opened(self, profile_id: str, rules: Rules | None = None) -> Profile:
        return open_profile(
            profile_id, rules or self.rules, DEFAULT_PROFILE_TTL_MS, self.states[profile_id], NOW_MS
        )


VERSIONS = sorted(path.stem.removeprefix("state_v") for path in FIXTURES.glob("state_v*.bin"))
PROFILES = ["buyer", "late", "odd", "browser", "once"]


@pytest.fixture(scope="module", params=VERSIONS)
def kept(request: pytest.FixtureRequest) -> Kept:
    return Kept(request.param)


profiles = pytest.mark.parametrize("profile_id", PROFILES)


def assert_is(outcome: Outcome, expected: dict[str, Any]) -> None:
    """Asserts that a snapshot has the expected content."""
    assert outcome.snapshot is not None
    assert members_of(outcome.snapshot) == expected["members"]
    assert outcome.snapshot.traits == expected["traits"]
    assert outcome.snapshot.measures.keys() == expected["measures"].keys()
    for name, value in expected["measures"].items():
        assert_same_value(outcome.snapshot.measures[name], value)
    for name, value in expected["scores"].items():
        shown, at_ms = outcome.snapshot.scores.get(name, (0.0, 0))
        decayed = shown * 0.5 ** ((expected["at"] - at_ms) / 1_800_000) if name == "engagement" else shown
        assert decayed == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_the_current_format_has_its_fixture():
    assert str(states._FORMAT[0]) in VERSIONS
    assert "1" in VERSIONS


@profiles
def test_it_opens_and_is_what_it_was(kept, profile_id):
    profile, expected = kept.opened(profile_id), kept.expected[profile_id]["then"]
    assert profile.advance(expected["at"]) == Outcome([], None)
    members = {
        name: None if member.leaves_at_ms > 10**15 else member.leaves_at_ms
        for name, member in profile.state.members.items()
    }
    assert members == expected["members"]
    # earlier versions did not tell a visitor from a user, so his data is kept as long as a user's
    assert (profile.state.has_user_id, profile.state.recent_contents) == (True, b"")
    assert states.decode(profile.encode()) == states.decode(kept.states[profile_id])


@profiles
def test_it_goes_on_with_one_more_event(kept, profile_id):
    profile, expected = kept.opened(profile_id), kept.expected[profile_id]
    outcome = profile.apply(parse_event(json.dumps(expected["one_more"]).encode()))
    assert not outcome.late
    assert_is(outcome, expected["after_one_more"])
    before, after = expected["then"]["members"], expected["after_one_more"]["members"]
    entered = {change.segment for change in outcome.changes if change.change == "entered"}
    assert set(after) - set(before) <= entered


@profiles
def test_it_goes_on_by_time_alone(kept, profile_id):
    profile, expected = kept.opened(profile_id), kept.expected[profile_id]
    members = set(expected["then"]["members"])
    for change in profile.advance(expected["a_day_later"]["at"]).changes:
        assert change.cause == "time"
        members ^= {change.segment}
    assert members == set(expected["a_day_later"]["members"])


@profiles
def test_it_still_recognises_repeats(kept, profile_id):
    profile = kept.opened(profile_id)
    messages = messages_of(kept.version)[profile_id]
    assert messages
    for message in messages:
        assert profile.apply(parse_event(json.dumps(message).encode())).repeated


@profiles
def test_it_opens_under_an_edited_file(kept, profile_id):
    rules, expected = kept.rules_in("edited.yaml"), kept.expected[profile_id]["then"]
    profile = kept.opened(profile_id, rules)
    outcome = profile.advance(expected["at"])
    assert outcome.snapshot is not None
    members = members_of(outcome.snapshot)
    assert {name: members[name] for name in members if name in AS_THEY_WERE} == {
        name: expires_at for name, expires_at in expected["members"].items() if name in AS_THEY_WERE
    }
    assert {change.cause for change in outcome.changes} <= {"rules"}
    assert not {change.segment for change in outcome.changes} & AS_THEY_WERE
    left = {change.segment for change in outcome.changes if change.change == "exited"}
    assert left == set(expected["members"]) - AS_THEY_WERE
    assert "never_again" in members
    assert "nothing_yet" not in members
    profile.apply(parse_event(json.dumps(kept.expected[profile_id]["one_more"]).encode()))
    assert "nothing_yet" in profile.state.members


@profiles
def test_under_an_edited_file_it_goes_on_by_time_alone(kept, profile_id):
    profile, expected = kept.opened(profile_id, kept.rules_in("edited.yaml")), kept.expected[profile_id]
    profile.advance(expected["a_day_later"]["at"])
    as_they_were = AS_THEY_WERE & set(expected["a_day_later"]["members"])
    assert set(profile.state.members) == as_they_were | {"quiet", "never_again"}


@profiles
def test_it_opens_under_a_file_of_quite_other_rules(kept, profile_id):
    rules = load_rules((ROOT / "definitions" / "segments.yaml").read_text())
    outcome = kept.opened(profile_id, rules).advance(kept.expected[profile_id]["then"]["at"])
    assert {change.segment for change in outcome.changes if change.change == "exited"} == set(
        kept.expected[profile_id]["then"]["members"]
    )


# Making new ones


def messages_of(version: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the events of a format's log by profile, in order of arrival."""
    by_profile: dict[str, list[dict[str, Any]]] = {}
    for line in (FIXTURES / f"state_v{version}.events.jsonl").read_text().splitlines():
        message = json.loads(line)
        by_profile.setdefault(message["userId"], []).append(message)
    return by_profile


def expectation(content: dict[str, Any], messages: list[dict[str, Any]], t_ms: int) -> dict[str, Any]:
    """Returns the content of a profile at an instant, by the reference evaluator."""
    reference = Reference(content, messages)
    traits = {path: reference.trait(path, t_ms) for path in traits_named(content)}
    return {
        "at": t_ms,
        "members": expected_members(reference, content["segments"], t_ms),
        "measures": {name: public_value(reference.measure(name, t_ms)) for name in content["measures"]},
        "scores": {name: reference.score(name, t_ms) for name in content["scores"]},
        "traits": {path: public_value(value) for path, value in traits.items() if value is not None},
    }


def traits_named(rules: Any) -> Iterator[str]:
    """Yields each trait that a condition uses or the file exports."""
    if isinstance(rules, dict):
        yield from rules.get("export_traits", [])
        if isinstance(rules.get("trait"), str):
            yield rules["trait"]
    for inner in rules.values() if isinstance(rules, dict) else rules if isinstance(rules, list) else ():
        yield from traits_named(inner)


def write_fixture(version: str) -> None:
    """Writes the states that the current program computes from a format's rules and events; never overwrites any."""
    assert version == str(states._FORMAT[0]), f"this program writes format {states._FORMAT[0]}"
    rules_text = (FIXTURES / f"state_v{version}.segments.yaml").read_text()
    rules, content = load_rules(rules_text), yaml.safe_load(rules_text)
    encoded, expected = {}, {}
    for profile_id, messages in messages_of(version).items():
        profile = open_profile(profile_id, rules, DEFAULT_PROFILE_TTL_MS, None, NOW_MS)
        for message in messages:
            profile.apply(parse_event(json.dumps(message).encode()))
        encoded[profile_id] = profile.encode()
        last_ms = max(map(time_of, messages))
        one_more = ONE_MORE | {"userId": profile_id, "timestamp": format_timestamp(last_ms + 60_000)}
        expected[profile_id] = {
            "then": expectation(content, messages, last_ms),
            "one_more": one_more,
            "after_one_more": expectation(content, [*messages, one_more], last_ms + 60_000),
            "a_day_later": expectation(content, messages, last_ms + 86_400_000),
        }
    with (FIXTURES / f"state_v{version}.bin").open("xb") as file:
        file.write(msgspec.msgpack.encode(encoded))
    with (FIXTURES / f"state_v{version}.expected.json").open("x") as file:
        file.write(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_fixture(sys.argv[1])
