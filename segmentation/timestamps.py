"""Parses and formats timestamps; in code an instant is in Unix milliseconds.

The form is RFC 3339. Other spellings that programs write are read too if they name one instant without doubt; all
others are refused, with the name of the form.
"""

import functools
import re
from datetime import date

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_OTHER_SPELLING = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d+))?"
    r" ?(?:(?:Z|z|UTC|GMT|[+-]00:?00 UTC)|([+\u2212-])(\d\d)(?::?(\d\d))?)\s*"
)
"""Digits of any script; a space for T, a comma for the point, an offset without colon or minutes, UTC in letters."""
_REFUSED_FORMS = [
    (re.compile(pattern, re.IGNORECASE), form)
    for pattern, form in (
        (r"\s*", "an empty text"),
        (r"[+-]?\d+(\.\d+)?", "a number as text, of seconds or milliseconds"),
        (r"[\"'].*[\"']", "a text quoted twice"),
        (r".* m=[+-][\d.]+", "Go's time.String() with a clock reading: format it with time.RFC3339Nano"),
        (r"\d{4}-\d\d-\d\dT?.* ?[AP]\.?M\.?", "a 12-hour clock"),
        (r"\d{4}-\d\d-\d\d", "a date without a time"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(Z|[+-]\d\d:?\d\d)?", "a time without seconds"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?", "no offset, so that it depends on a time zone"),
        (r"\d{4}-\d\d-\d\d[T ]24:.*", "hour 24"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:60.*", "second 60"),
        (r"\d{8}T?\d*.*", "the basic form of ISO 8601, without separators"),
        (r"[a-z]{3}, ?\d.*", "the form of RFC 1123"),
        (r"[a-z]{3} [a-z]{3} \d.*", "the form of JavaScript's Date.toString(): use toISOString()"),
        (r"\d{1,2}[/.]\d{1,2}[/.]\d.*|\d{4}/.*", "a date with slashes or dots"),
        (r"\d.*[a-z]{3,}([/_][a-z]+)?\]?", "a time zone by name"),
    )
]
_LONGEST_FORM = 100
_EXPECTED = "expected RFC 3339 with an offset, such as 2026-01-31T12:00:00.000Z"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
NEVER = 1 << 60
"""An instant later than all others. As a window it covers all events."""
MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z."""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z."""


def parse_timestamp(text: str) -> int:
    """Returns the Unix milliseconds of a timestamp, truncated.

    Raises:
      ValueError: the text does not name one instant of the years 1 to 9999 in UTC; the message names its form.
    """
    match = _RFC3339.fullmatch(text) or _RFC3339.fullmatch(_as_rfc3339(text))
    if match is None:
        raise ValueError(f"{_EXPECTED}{_refused_form(text)}")
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


def is_rfc3339(text: str) -> bool:
    """Whether a timestamp that `parse_timestamp` reads is spelled as RFC 3339 requires."""
    return _RFC3339.fullmatch(text) is not None


def _as_rfc3339(text: str) -> str:
    """Returns another spelling of one certain instant as RFC 3339; other texts unchanged."""
    match = _OTHER_SPELLING.fullmatch(text)
    if match is None:
        return text
    day, time, fraction, sign, offset_hours, offset_minutes = match.groups()
    offset = "Z" if sign is None else f"{'+' if sign == '+' else '-'}{offset_hours}:{offset_minutes or '00'}"
    spelled = f"{day}T{time}{'.' if fraction else ''}{fraction or ''}{offset}"
    return "".join(str(int(character)) if character.isdecimal() else character for character in spelled)


def _refused_form(text: str) -> str:
    """Returns the name of a form that is not read, for the end of a message; empty if it is not known."""
    start = text[:_LONGEST_FORM]  # the patterns would be slow on a long text
    return next((f"; found {form}" for pattern, form in _REFUSED_FORMS if pattern.fullmatch(start)), "")


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
