"""Parses and formats RFC 3339 timestamps; in code an instant is in Unix milliseconds."""

import functools
import re
from datetime import date

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
NEVER = 1 << 60
"""An instant later than all others. As a window it covers all events."""
MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z."""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z."""


def parse_timestamp(text: str) -> int:
    """Returns the Unix milliseconds of an RFC 3339 timestamp, truncated.

    Raises:
      ValueError: the text is not an RFC 3339 timestamp with an offset, or its year in UTC is not 1 to 9999.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("expected RFC 3339 with an offset, such as 2026-01-31T12:00:00.000Z")
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    ms = (date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY) * _DAY_MS
    ms += (int(hour) * 3600 + int(minute) * 60 + int(second)) * 1000
    if fraction is not None:
        ms += int(fraction[:3].ljust(3, "0"))
    if sign is not None:
        offset_ms = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000
        ms += -offset_ms if sign == "+" else offset_ms
    if not MIN_MS <= ms <= MAX_MS:
        raise ValueError("expected a year from 1 to 9999 in UTC")
    return ms


def format_timestamp(ms: int) -> str:
    """Returns Unix milliseconds as RFC 3339 in UTC, always 24 characters long."""
    day, rest = divmod(ms, _DAY_MS)
    minute, rest = divmod(rest, 60_000)
    second, millisecond = divmod(rest, 1000)
    return _day_text(day) + _MINUTES[minute] + _SECONDS[second] + _MILLISECONDS[millisecond]


# Formatted in advance, because formatting numbers would take most of the time of encoding a snapshot.
_MINUTES = tuple(f"{hour:02d}:{minute:02d}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02d}." for second in range(60))
_MILLISECONDS = tuple(f"{millisecond:03d}Z" for millisecond in range(1000))


@functools.lru_cache(4096)
def _day_text(day: int) -> str:
    return f"{date.fromordinal(day + _EPOCH_DAY).isoformat()}T"


def optional(instant_ms: int) -> int | None:
    """Returns the instant, or None for NEVER."""
    return None if instant_ms == NEVER else instant_ms
