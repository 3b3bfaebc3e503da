"""Corrects the times of a device whose clock is wrong, as Segment does."""

from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp, parse_timestamp

TOLERANCE_MS = 60_000
"""A clock that is off by less counts as right: what a request takes on its way is no error of the clock.

So a batch that is sent again, with another `sentAt` or the same, keeps its times.
"""


def clock_error_ms(sent_at: str | None, received_at_ms: int) -> int:
    """Returns by how many milliseconds the device's clock is behind; negative if it is ahead, 0 if it is right.

    Args:
      sent_at: when the device says that it sent the request; None, or no RFC 3339, is no reason for a correction.
      received_at_ms: when the request arrived.
    """
    if sent_at is None:
        return 0
    try:
        behind_ms = received_at_ms - parse_timestamp(sent_at)
    except ValueError:
        return 0
    return behind_ms if abs(behind_ms) > TOLERANCE_MS else 0


def corrected(timestamp: str, error_ms: int) -> str:
    """Returns receivedAt − (sentAt − timestamp); the text as it is where it is no time, or leaves the calendar."""
    try:
        right_ms = parse_timestamp(timestamp) + error_ms
    except ValueError:
        return timestamp
    return format_timestamp(right_ms) if MIN_MS <= right_ms <= MAX_MS else timestamp
