"""Formats instants."""

from datetime import UTC, datetime
from functools import lru_cache


def timestamp_text(ms: int) -> str:
    """Returns Unix milliseconds as RFC 3339 in UTC."""
    minute, rest = divmod(ms, 60_000)
    return f"{_minute_text(minute)}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")
