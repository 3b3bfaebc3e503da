"""Computes a profile's changes from its log, without a pipeline but with the same functions."""

from collections.abc import Iterable

from segmentation.events import Event
from segmentation.memberships import Change, Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile
from segmentation.rules.compiled import Rules


class ProfileFold:
    """The changes and the last snapshot of one profile's events, applied in order of arrival."""

    def __init__(
        self, profile_id: str, rules: Rules, now_ms: int = 0, profile_ttl_ms: int = DEFAULT_PROFILE_TTL_MS
    ) -> None:
        """`now_ms` is the processing time in the results."""
        self.profile = Profile(profile_id, rules, profile_ttl_ms, None, now_ms)
        self.changes: list[Change] = []
        self.snapshot: Snapshot | None = None

    def fold(self, events: Iterable[Event], as_of_ms: int) -> "ProfileFold":
        """Applies the events up to `as_of_ms`, then lets time run to it; returns itself."""
        for event in events:
            if event.timestamp_ms <= as_of_ms:
                self._keep(*self.profile.apply(event)[:2])
        self._keep(*self.profile.advance(as_of_ms)[:2])
        return self

    def _keep(self, changes: list[Change], snapshot: Snapshot | None) -> None:
        self.changes += changes
        self.snapshot = snapshot or self.snapshot
