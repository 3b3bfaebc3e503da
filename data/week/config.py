"""The configuration of the generator."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

Message = dict[str, Any]
"""One message of the Segment spec, as a JSON object."""

DAY_MS = 86_400_000


@dataclasses.dataclass(frozen=True)
class WeekConfig:
    """A shop, its number of visitors, and the faults of delivery. Shares are from 0 to 1."""

    seed: int = 7
    shoppers: int = 550
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    days: int = 7
    products: int = 240
    bots_per_thousand_shoppers: int = 6
    bot_views_per_minute: int = 240
    late_share: float = 0.2
    """The share of the app's visits whose messages, from some moment on, arrive hours late."""
    late_min_hours: float = 1.0
    late_max_hours: float = 14.0
    repeat_share: float = 0.01
    """The share of messages that are sent twice, with the same messageId."""
    repeat_min_seconds: float = 2.0
    repeat_max_seconds: float = 300.0

    def __post_init__(self) -> None:
        for name in ("shoppers", "days", "products", "bot_views_per_minute"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.bots_per_thousand_shoppers < 0:
            raise ValueError("bots_per_thousand_shoppers must not be negative")
        for name in ("late_share", "repeat_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        for low, high in (("late_min_hours", "late_max_hours"), ("repeat_min_seconds", "repeat_max_seconds")):
            if not 0 <= getattr(self, low) <= getattr(self, high):
                raise ValueError(f"{low} must not be negative or above {high}")
        if self.start.tzinfo is None:
            raise ValueError("start needs a time zone, such as datetime(2026, 3, 2, tzinfo=UTC)")

    @property
    def start_ms(self) -> int:
        """The first millisecond of the log, since the epoch."""
        return int(self.start.timestamp()) * 1000

    @property
    def end_ms(self) -> int:
        """The first millisecond after the log, since the epoch."""
        return self.start_ms + self.days * DAY_MS
