"""The benchmark of the collector; tests/benchmarks holds the others."""

import pytest

from benchmarks import collector


@pytest.mark.long
def test_it_reports_rates_waits_and_memory_with_their_bounds() -> None:
    figures = collector.measure(events=400, rounds=1)
    assert {(one.name, one.at_least, one.at_most) for one in figures if one.bound} == {
        ("batches of 100: the highest rate", 5_000, None),
        ("batches of 100: p99 at 2,500 events/s", None, 50),
        ("single events: the highest rate", 1_000, None),
        ("single events: p99 at 500 events/s", None, 50),
        ("memory after a round ÷ before it", None, 1.1),
    }
    assert all(one.value > 0 for one in figures)
