"""When a silent profile is forgotten: exactly its TTL after the last event, if that instant can be written."""

import pytest

from segmentation.profile.profile import Profile
from segmentation.timestamps import MAX_MS, NEVER, format_timestamp
from tests.segmentation.folding import NOW_MS, PROFILE_ID, event_of, rules_for

TTL_MS = 86_400_000


@pytest.mark.parametrize(
    "event_ms, forgotten_at_ms",
    [(NOW_MS, NOW_MS + TTL_MS), (MAX_MS - TTL_MS, MAX_MS), (MAX_MS - TTL_MS + 1, NEVER)],
)
def test_a_profile_is_forgotten_its_ttl_after_its_last_event(event_ms: int, forgotten_at_ms: int) -> None:
    profile = Profile(PROFILE_ID, rules_for(s={"event": "A"}), TTL_MS, None, NOW_MS)
    message = {"type": "track", "event": "A", "messageId": "m", "userId": PROFILE_ID}
    profile.apply(event_of({**message, "timestamp": format_timestamp(event_ms)}))
    assert profile.deadline() == forgotten_at_ms
    profile.advance(min(forgotten_at_ms, MAX_MS + 1) - 1)
    assert not profile.is_empty
    profile.advance(min(forgotten_at_ms, MAX_MS))
    assert profile.is_empty == (forgotten_at_ms != NEVER)
