"""When a drain has fired a timer, and for which deadlines a timer is set."""

from transforms.timers import EventTimers

NOW_MS = 1_800_000_000_000
FIVE_MINUTES_MS = 300_000
LIVE = EventTimers(None)


def test_a_live_timer_more_than_five_minutes_ahead_is_fired_by_a_drain() -> None:
    assert not LIVE.is_drain(NOW_MS + FIVE_MINUTES_MS, NOW_MS)
    assert LIVE.is_drain(NOW_MS + FIVE_MINUTES_MS + 1, NOW_MS)


def test_no_timer_of_a_bounded_run_is_fired_by_a_drain() -> None:
    assert not EventTimers(NOW_MS).is_drain(NOW_MS, 0)


def test_a_timer_is_set_for_the_first_deadline_and_for_an_earlier_one() -> None:
    assert LIVE.is_due(NOW_MS, 0)
    assert LIVE.is_due(NOW_MS, NOW_MS + 1)
    assert not LIVE.is_due(NOW_MS, NOW_MS)


def test_no_timer_is_set_beyond_the_end_of_a_bounded_run() -> None:
    assert EventTimers(NOW_MS).is_due(NOW_MS, 0)
    assert not EventTimers(NOW_MS).is_due(NOW_MS + 1, 0)
