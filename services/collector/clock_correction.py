"""Corrects the times of a device whose clock is wrong, as Segment does."""

from segmentation.timestamps import MAX_MS, MIN_MS

TOLERANCE_MS = 60_000
"""A smaller error is ignored, because the time that a request travels is not an error of the clock.

So a batch keeps its timestamps when it is sent again, with the same `sentAt` or another one.
"""


def clock_error_ms(sent_at_ms: int, received_at_ms: int) -> int:
    """Returns by how many milliseconds the device's clock is behind; negative if it is ahead, 0 if it is right.

    Args:
      sent_at_ms: the request's `sentAt`.
      received_at_ms: when the request arrived, by our clock.
    """
    behind_ms = received_at_ms - sent_at_ms
    return behind_ms if abs(behind_ms) > TOLERANCE_MS else 0


def corrected_ms(timestamp_ms: int, error_ms: int) -> int:
    """Returns `receivedAt` − (`sentAt` − `timestamp`); the timestamp itself if that is outside the years 1 to 9999."""
    right_ms = timestamp_ms + error_ms
    return right_ms if MIN_MS <= right_ms <= MAX_MS else timestamp_ms
