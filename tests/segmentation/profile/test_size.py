"""A state above its bound: the largest memory loses its older half, or goes if it has no rows to lose."""

import pytest

from segmentation.profile import size
from segmentation.profile.decisions import Decisions
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile
from segmentation.profile.state import encode
from tests.segmentation.folding import NOW_MS, PROFILE_ID, event_of, rules_of
from tests.segmentation.pictures import at

MEASURES = {
    "latest": {"event": "A", "last": {"of": "properties.text"}},
    "all": {"event": "A", "within": "1h", "distinct": {"of": "properties.n"}},
}


def test_the_largest_memory_shrinks_until_the_state_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = rules_of({"version": 1, "measures": MEASURES})
    profile = Profile(PROFILE_ID, rules, DEFAULT_PROFILE_TTL_MS, None, NOW_MS)
    for number in range(8):
        profile.apply(event_of(at(number, n=number, text="x" * 200)))
    latest, distinct = (rules.measures[name] for name in ("latest", "all"))
    full_bytes = len(encode(profile.state))
    decisions = Decisions(PROFILE_ID, rules, profile.state, NOW_MS)

    monkeypatch.setattr(size, "MAX_STATE_BYTES", full_bytes + 1)
    assert list(size.shrink(decisions)) == []

    monkeypatch.setattr(size, "MAX_STATE_BYTES", full_bytes)
    (shrunk,) = size.shrink(decisions)
    assert (shrunk.kind, shrunk.memory, len(shrunk.dropped)) == (latest, latest.fresh(), 1), "it has one row"
    assert latest.key not in profile.state.memories

    monkeypatch.setattr(size, "MAX_STATE_BYTES", len(encode(profile.state)))
    (shrunk,) = size.shrink(decisions)
    assert (shrunk.kind, len(shrunk.dropped)) == (distinct, 4)
    assert profile.state.memories[distinct.key] == shrunk.memory
