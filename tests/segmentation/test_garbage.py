"""A decision leaves no reference cycles, so its memory is freed at once and not by the garbage collector."""

import gc
from pathlib import Path

import pytest

from segmentation.events import parse_event
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, open_profile
from segmentation.rules.load import load_rules

FIXTURES = Path(__file__).parent / "profile" / "fixtures"


@pytest.fixture
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_a_log_leaves_none():
    rules = load_rules((FIXTURES / "state_v1.segments.yaml").read_text())
    states = {}
    gc.collect()
    for line in (FIXTURES / "state_v1.events.jsonl").read_bytes().splitlines():
        event = parse_event(line)
        profile = open_profile(
            event.profile_id, rules, DEFAULT_PROFILE_TTL_MS, states.get(event.profile_id), 0
        )
        profile.apply(event)
        profile.advance(event.timestamp_ms + 60_000)
        states[event.profile_id] = profile.encode()
    del profile
    assert gc.collect() == 0
