"""Applies messages to a profile in order of arrival, and compares the results with the reference evaluator."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings

from segmentation.events import Event, parse_event
from segmentation.memberships import Change, Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Outcome, Profile, open_profile
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from tests.reference.evaluator import Reference, is_long, parse_instant

PROFILE_ID = "user-1"
NOW_MS = 1_800_000_000_000


def examples(count: int) -> settings:
    """Returns settings for random examples; a failure prints how to reproduce it."""
    return settings(
        max_examples=count,
        print_blob=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def few_or_many(few: int, many: int) -> Callable[..., Any]:
    """Runs a check on few random examples in `make test`, and on many in `make test-long`."""
    return pytest.mark.parametrize(
        "count", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.long)]
    )


def rules_of(content: dict[str, Any]) -> Rules:
    """Compiles definitions."""
    return load_rules(json.dumps(content, ensure_ascii=False))


def rules_for(**segments: Any) -> Rules:
    """Compiles definitions that have only segments, each given by its condition."""
    return rules_of({"version": 1, "segments": {name: {"when": when} for name, when in segments.items()}})


def event_of(message: dict[str, Any]) -> Event:
    return parse_event(json.dumps(message).encode())


def time_of(message: dict[str, Any]) -> int:
    return parse_instant(message["timestamp"])


class Fold:
    """One profile, to which messages are applied one by one; it collects the outcomes."""

    def __init__(
        self, rules: Rules, reopened: bool = False, now_ms: int = NOW_MS, ttl_ms: int = DEFAULT_PROFILE_TTL_MS
    ) -> None:
        """`reopened`: the state is encoded and decoded before each message."""
        self.rules = rules
        self.profile = open_profile(PROFILE_ID, rules, ttl_ms, None, now_ms)
        self.outcomes: list[Outcome] = []
        self._reopened = reopened
        self._now_ms = now_ms
        self._ttl_ms = ttl_ms

    def apply(self, message: dict[str, Any]) -> Outcome:
        return self._keep(self._opened().apply(event_of(message)))

    def apply_all(self, messages: Iterable[dict[str, Any]]) -> "Fold":
        for message in messages:
            self.apply(message)
        return self

    def advance(self, t_ms: int) -> Outcome:
        return self._keep(self._opened().advance(t_ms))

    def reopen(self, rules: Rules) -> None:
        """Opens the encoded state under other rules."""
        self.rules = rules
        self.profile = open_profile(PROFILE_ID, rules, self._ttl_ms, self.profile.encode(), self._now_ms)

    def _opened(self) -> Profile:
        if self._reopened:
            self.reopen(self.rules)
        return self.profile

    def _keep(self, outcome: Outcome) -> Outcome:
        self.outcomes.append(outcome)
        return outcome

    @property
    def changes(self) -> list[Change]:
        return [change for outcome in self.outcomes for change in outcome.changes]

    @property
    def snapshots(self) -> list[Snapshot]:
        return [outcome.snapshot for outcome in self.outcomes if outcome.snapshot is not None]

    def members(self) -> dict[str, int | None]:
        """Returns the memberships of the last snapshot, each with its `expires_at`."""
        return members_of(self.snapshots[-1]) if self.snapshots else {}


def members_of(snapshot: Snapshot) -> dict[str, int | None]:
    return {name: membership.expires_at_ms for name, membership in snapshot.segments.items()}


def spans_of(changes: Iterable[Change], segment: str) -> list[tuple[int, int | None]]:
    """Returns a segment's memberships in the history; those that touch are joined, and empty ones are left out."""
    spans: list[tuple[int, int | None]] = []
    for change in changes:
        if change.segment != segment:
            continue
        at_ms = change.event_time_ms
        is_inside = bool(spans) and spans[-1][1] is None
        assert (change.change == "exited") == is_inside, f"{change.change} twice"
        if change.change == "exited":
            assert change.expires_at_ms is None
            spans[-1] = (spans[-1][0], at_ms)
            if spans[-1][0] == at_ms:
                del spans[-1]
        elif spans and spans[-1][1] == at_ms:
            spans[-1] = (spans[-1][0], None)
        else:
            spans.append((at_ms, None))
    return spans


def expected_members(reference: Reference, segments: Iterable[str], t_ms: int) -> dict[str, int | None]:
    return {name: reference.expires_at(name, t_ms) for name in segments if reference.member(name, t_ms)}


def public_value(value: Any) -> Any:
    """Returns the value of a trait or a measure in a snapshot, which has a hash in place of a long value."""
    if not is_long(value):
        return value
    text = value.encode() if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return "sha256:" + hashlib.sha256(text).hexdigest()


def assert_serves(snapshot: Snapshot, reference: Reference, content: dict[str, Any], t_ms: int) -> None:
    """Asserts that a snapshot has the memberships, measures, scores and traits of the reference at an instant."""
    assert members_of(snapshot) == expected_members(reference, content["segments"], t_ms)
    assert set(snapshot.measures) == set(content.get("measures", {}))
    for name, value in snapshot.measures.items():
        assert_same_value(value, public_value(reference.measure(name, t_ms)))
    assert set(snapshot.scores) <= set(content.get("scores", {}))
    for name in content.get("scores", {}):
        value, at_ms = snapshot.scores.get(name, (0.0, t_ms))
        assert at_ms <= t_ms
        assert value == pytest.approx(reference.score(name, at_ms), rel=1e-9, abs=1e-9)
        if name not in snapshot.scores:
            assert reference.score(name, t_ms) == 0
    for path in content.get("export_traits", []):
        assert_same_value(snapshot.traits.get(path), public_value(reference.trait(path, t_ms)))


def assert_same_value(value: Any, expected: Any) -> None:
    if isinstance(expected, float):
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    else:
        assert value == expected
        assert isinstance(value, bool) == isinstance(expected, bool)


def content_of(snapshot: Snapshot) -> str:
    """Returns the content of a snapshot without its version and times."""
    return json.dumps(
        [
            {name: [one.entered_at_ms, one.expires_at_ms] for name, one in snapshot.segments.items()},
            snapshot.scores,
            snapshot.measures,
            snapshot.traits,
        ],
        sort_keys=True,
    )
