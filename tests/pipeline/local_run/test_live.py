"""The parts of a live run that need no Pub/Sub; tests/integration runs it whole."""

import logging
import os
import signal
import threading

import pytest

from pipeline.local_run.live import Gate, Stopped, _on_signal, summary
from pipeline.local_run.periodically import Periodically
from transforms.step_metrics import Observed


def test_a_summary_holds_what_was_counted_and_nobody():
    counts = {
        "events_parsed": 12,
        "events_late": 2,
        "events_dead_lettered_not_json": 1,
        "events_dead_lettered_bad_type": 2,
        "heartbeats": 7,
        "segments_entered": 5,
        "segments_exited": 3,
        "momentary_memberships": 2,
        "corrections": 4,
        "profiles_created": 6,
    }
    observations = {"event_lag_ms": Observed(10, 1500, 20, 400), "state_bytes": Observed(1, 1, 1, 1)}
    assert summary(counts, observations) == (
        "12 events, 2 late, 0 repeated, 3 dead letters, 7 heartbeats, 6 profiles, 3 entered, 1 exited, "
        "4 corrections, 2 momentary, event_lag_ms mean 150 max 400 of 10"
    )


def test_a_summary_holds_the_writes_that_redis_refused():
    assert "stale" not in summary({"redis_writes_stale": 0, "redis_writes_taken_over": 0}, {})
    assert summary({"redis_writes_stale": 1}, {}).endswith("0 corrections, 1 stale writes")
    both = {"redis_writes_stale": 12, "redis_writes_taken_over": 11}
    assert summary(both, {}).endswith("0 corrections, 12 stale writes, 11 taken over")


def test_the_gate_stops_nobody_until_it_is_closed():
    gate = Gate()
    gate.check()
    gate.close()
    logger = logging.getLogger("apache_beam.runners.direct.executor")
    level = logger.level
    with pytest.raises(Stopped):
        gate.check()
    logger.setLevel(level)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_acts_and_the_second_has_its_usual_effect(number):
    before = signal.getsignal(number)
    acted = []
    with _on_signal(lambda: acted.append(1), lambda: acted.append(2)):
        os.kill(os.getpid(), number)
        assert acted == [1, 2]
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _on_signal(pytest.fail):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_only_the_main_thread_takes_signals():
    def enter() -> None:
        with _on_signal():
            entered.append(True)

    entered = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered


def test_periodically_acts_again_and_again_and_at_once_when_asked():
    acted = threading.Semaphore(0)
    with Periodically(0.001, acted.release):
        for _ in range(3):
            assert acted.acquire(timeout=240)
    while acted.acquire(blocking=False):
        pass
    with Periodically(3600, acted.release) as rarely:
        rarely.now()
        assert acted.acquire(timeout=240)
    with Periodically(3600, pytest.fail):
        (own,) = [thread for thread in threading.enumerate() if thread.name == "every 3600 s"]
    assert not own.is_alive()
