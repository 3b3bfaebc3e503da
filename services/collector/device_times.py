"""Reads the times that devices write: what is a time, what stands for none, and what is neither."""

import re
from datetime import UTC, date, datetime
from typing import NamedTuple

import msgspec

from segmentation.timestamps import MIN_MS, is_rfc3339, parse_timestamp
from services.collector.fields import text

_MAX_PLAIN_CHARACTERS = len("2026-03-02T12:00:00.123456789+01:00")
"""Longer fractions are valid RFC 3339, but most programs do not read them."""
_MAX_ZERO_CHARACTERS = 64
_DAY_MS = 86_400_000
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_ZERO_DAYS = {(1, 1, 1), (0, 12, 31), (0, 0, 0)}
"""Of .NET and Go; the same in a time zone west of Greenwich; of MySQL."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DeviceTime(NamedTuple):
    """A time as a device wrote it."""

    raw: msgspec.Raw
    ms: int | None
    """Unix milliseconds; None: it does not name one instant."""
    is_plain: bool
    """True: RFC 3339 with at most nine digits of fraction."""
    is_zero: bool
    """True: it stands for no time, such as 0, 1970-01-01T00:00:00Z, or any time on 0001-01-01."""


def read_device_time(raw: msgspec.Raw) -> DeviceTime:
    """Returns the time in a field of a message, which can be any JSON value."""
    written = text(raw)
    if written is None:
        return DeviceTime(raw, None, is_plain=False, is_zero=_is_zero_number(bytes(raw)))
    try:
        ms = parse_timestamp(written)
    except ValueError:
        return DeviceTime(raw, None, is_plain=False, is_zero=_is_zero_text(written.strip()))
    is_zero = ms == 0 or (ms < MIN_MS + 2 * _DAY_MS and _is_zero_text(written.strip()))
    return DeviceTime(raw, ms, len(written) <= _MAX_PLAIN_CHARACTERS and is_rfc3339(written), is_zero)


def _is_zero_text(written: str) -> bool:
    """Whether a text stands for no time; without an offset too, because it is none in every time zone."""
    if len(written) > _MAX_ZERO_CHARACTERS:
        return False
    day = _DAY.match(written)
    if day is not None and tuple(map(int, day.groups())) in _ZERO_DAYS:
        return True
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        return _is_zero_number(written.encode())
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return instant.date() == date.min or instant == _EPOCH


def _is_zero_number(number: bytes) -> bool:
    try:
        return float(number) == 0
    except ValueError:
        return False
