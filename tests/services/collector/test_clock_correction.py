import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.timestamps import MAX_MS, MIN_MS, parse_timestamp
from services.collector.clock_correction import TOLERANCE_MS, clock_error_ms, corrected_ms

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
    assert clock_error_ms(sent_at_ms, NOON) == error_ms


@pytest.mark.parametrize("timestamp_ms, error_ms", [(MAX_MS, 1), (MIN_MS, -1)])
def test_what_cannot_be_moved_stays(timestamp_ms, error_ms):
    assert corrected_ms(timestamp_ms, error_ms) == timestamp_ms
    assert corrected_ms(timestamp_ms, -error_ms) == timestamp_ms - error_ms


@given(INSTANTS, st.integers(-10 * HOUR, 10 * HOUR), st.integers(0, 10 * HOUR), st.integers(0, TOLERANCE_MS))
def test_it_is_received_at_minus_sent_at_minus_timestamp(happened_ms, clock_off_ms, waited_ms, transit_ms):
    """Of a device that says T + off at T: what happened is told within the time of the transit."""
    sent_ms = happened_ms + waited_ms
    received_ms = sent_ms + transit_ms
    error_ms = clock_error_ms(sent_ms + clock_off_ms, received_ms)
    told_ms = corrected_ms(happened_ms + clock_off_ms, error_ms)
    if error_ms:
        assert told_ms == received_ms - (sent_ms - happened_ms)
        assert told_ms - happened_ms == transit_ms
    else:
        assert told_ms - happened_ms == clock_off_ms


@given(INSTANTS, st.lists(st.integers(-TOLERANCE_MS, TOLERANCE_MS), min_size=2, max_size=2))
def test_two_arrivals_within_the_tolerance_tell_the_same(happened_ms, offsets_ms):
    told = {corrected_ms(happened_ms, clock_error_ms(NOON + offset_ms, NOON)) for offset_ms in offsets_ms}
    assert told == {happened_ms}
