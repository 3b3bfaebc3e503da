"""The benchmark of a live run; tests/benchmarks holds the others."""

import pytest

from benchmarks import live


@pytest.mark.long
def test_it_reports_a_rate_and_how_long_events_take_at_shares_of_it() -> None:
    rate, *waits = live.measure(events=30, rounds=1)
    assert rate.unit == "events/s"
    names = [
        f"event to Redis at {share} of it: {part}"
        for share in ("10%", "50%", "90%")
        for part in ("p50", "p99")
    ]
    assert [wait.name for wait in waits] == names
    assert [wait.at_most for wait in waits] == [None, None, None, 1000, None, None]
    assert all(figure.value > 0 for figure in (rate, *waits))
