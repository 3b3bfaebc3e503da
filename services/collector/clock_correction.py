"""Corrects the timestamps of a device whose clock is wrong, as Segment does."""

from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp, parse_timestamp

TOLERANCE_MS = 60_000
"""A smaller error is ignored, because the time that a request travels is not an error of the clock.

So a batch keeps its timestamps when it is sent again, with the same `sentAt` or another one.
"""


def clock_error_ms(sent_at: str | None, received_at_ms: int) -> int:
    """Returns by how many milliseconds the device's clock is behind; negative if it is ahead, 0 if it is right.

    Args:
      sent_at: the request's `sentAt`; if it is None or not RFC 3339, the clock counts as right.
      received_at_ms: when the request arrived, by our clock.
    """
    if sent_at is None:
        return 0
    try:
        behind_ms = received_at_ms - parse_timestamp(sent_at)
    except ValueError:
        return 0
    return behind_ms if abs(behind_ms) > TOLERANCE_MS else 0


def corrected(timestamp: str, error_ms: int) -> str:
    """Returns `receivedAt` − (`sentAt` − `timestamp`).

    The text is returned unchanged if it is not RFC 3339, or if the result is outside the years 1 to 9999.
    """
    try:
        right_ms = parse_timestamp(timestamp) + error_ms
    except ValueError:
        return timestamp
    return format_timestamp(right_ms) if MIN_MS <= right_ms <= MAX_MS else timestamp
