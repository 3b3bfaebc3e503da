import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp, parse_timestamp
from services.collector.clock_correction import TOLERANCE_MS, clock_error_ms, corrected

NOON = parse_timestamp("2026-03-02T12:00:00Z")
HOUR = 3_600_000
INSTANTS = st.integers(MIN_MS + 10 * 366 * 24 * HOUR, MAX_MS - 10 * 366 * 24 * HOUR)


@pytest.mark.parametrize(
    "sent_at_ms, error_ms",
    [
        (NOON, 0),
        (NOON - 60_000, 0),
        (NOON + 60_000, 0),
        (NOON - 60_001, 60_001),
        (NOON + 60_001, -60_001),
        (NOON - HOUR, HOUR),
    ],
)
def test_a_clock_is_wrong_when_it_is_off_by_more_than_a_minute(sent_at_ms, error_ms):
    assert clock_error_ms(format_timestamp(sent_at_ms), NOON) == error_ms


@pytest.mark.parametrize("sent_at", [None, "", "noon", "2026-03-02", "2026-03-02T12:00:00", "1772452800"])
def test_what_is_no_time_is_no_reason_for_a_correction(sent_at):
    assert clock_error_ms(sent_at, NOON) == 0


def test_a_time_is_moved_by_the_error_and_written_in_utc():
    assert corrected("2026-03-02T12:00:00+01:00", HOUR) == "2026-03-02T12:00:00.000Z"


@pytest.mark.parametrize(
    "timestamp, error_ms",
    [("yesterday", HOUR), ("9999-12-31T23:59:59Z", HOUR), ("0001-01-01T00:00:00Z", -HOUR)],
)
def test_what_cannot_be_moved_stays(timestamp, error_ms):
    assert corrected(timestamp, error_ms) == timestamp


@given(INSTANTS, st.integers(-10 * HOUR, 10 * HOUR), st.integers(0, 10 * HOUR), st.integers(0, TOLERANCE_MS))
def test_it_is_received_at_minus_sent_at_minus_timestamp(happened_ms, clock_off_ms, waited_ms, transit_ms):
    """Of a device that says T + off at T: what happened is told within the time of the transit."""
    sent_ms = happened_ms + waited_ms
    received_ms = sent_ms + transit_ms
    sent_at, timestamp = (format_timestamp(ms + clock_off_ms) for ms in (sent_ms, happened_ms))
    error_ms = clock_error_ms(sent_at, received_ms)
    told_ms = parse_timestamp(corrected(timestamp, error_ms))
    if error_ms:
        assert told_ms == received_ms - (parse_timestamp(sent_at) - parse_timestamp(timestamp))
        assert told_ms - happened_ms == transit_ms
    else:
        assert told_ms - happened_ms == clock_off_ms


@given(INSTANTS, st.lists(st.integers(-TOLERANCE_MS, TOLERANCE_MS), min_size=2, max_size=2))
def test_two_arrivals_within_the_tolerance_tell_the_same(happened_ms, offsets_ms):
    timestamp = format_timestamp(happened_ms)
    told = {
        corrected(timestamp, clock_error_ms(format_timestamp(NOON + offset), NOON)) for offset in offsets_ms
    }
    assert told == {timestamp}
