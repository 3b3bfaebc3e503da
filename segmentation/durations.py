"""Parses and formats durations of the segment language, such as 30s, 10m, 2h, 7d and 1h30m."""

import re

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000}
PATTERN = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
"""Matches every duration, and also the empty text, which is not a duration."""
MAX_CHARACTERS = 64
_WHOLE = re.compile(PATTERN)
_PART = re.compile(r"([0-9]+)([dhms])")
MIN_MS = 1000
MAX_MS = 400 * _UNITS_MS["d"]


def parse_duration(text: str) -> int:
    """Returns the milliseconds of a duration.

    Raises:
      ValueError: the text is not a duration, or it is shorter than 1 s or longer than 400 d.
    """
    if not text or len(text) > MAX_CHARACTERS or _WHOLE.fullmatch(text) is None:
        raise ValueError("expected a duration such as 30s, 10m, 2h, 7d or 1h30m")
    ms = sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
    if not MIN_MS <= ms <= MAX_MS:
        raise ValueError("expected a duration of at least 1s and at most 400d")
    return ms


def format_duration(ms: int) -> str:
    """Returns the shortest text that `parse_duration` parses to this many milliseconds."""
    parts = []
    for unit, unit_ms in _UNITS_MS.items():
        count, ms = divmod(ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
