"""A live run on this machine: keeps it awake, logs its counts, and stops it on a signal without losing messages.

This module works around limits of the local runner, which is meant for trials. That runner acknowledges messages before
it processes them, and keeps state in memory. docs/live-run.md explains the consequences and compares Dataflow.
"""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult

from pipeline.config import SegmentationConfig, Subscription
from pipeline.graph import READ_EVENTS, build
from pipeline.local_run.counts import profile_counts, write_counts
from pipeline.local_run.gated_subscription import ReadGatedSubscription
from pipeline.local_run.heartbeat import Heartbeat
from pipeline.local_run.job_status import note_decided, reset_status, write_status
from pipeline.local_run.periodically import Periodically
from transforms.step_metrics import Observed, reset_totals, total_counts, total_observations

HEARTBEAT_SECONDS = 0.5
SUMMARY_SECONDS = 60.0
STATUS_SECONDS = 0.25
_LOGGER = logging.getLogger(__name__)
_RUNNER_LOGGER = logging.getLogger("apache_beam.runners.direct.executor")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """A signal ended the run; the results of all pulled messages are written."""


class Gate:
    """Lets the runner pull messages until the gate is closed.

    The runner calls `check` before every pull, when all messages of earlier pulls have passed through the whole
    graph to the sinks. A closed gate therefore ends the run between two pulls: the results of pulled messages
    are written, and all other messages stay in the subscription.
    """

    def __init__(self) -> None:
        self._is_closed = False

    def close(self) -> None:
        """Makes the next `check` end the run. May be called in a signal handler."""
        self._is_closed = True

    def check(self) -> None:
        """Returns if the gate is open.

        Raises:
          Stopped: the gate is closed.
        """
        note_decided()
        if self._is_closed:
            _RUNNER_LOGGER.setLevel(logging.CRITICAL)  # the runner would log four tracebacks for `Stopped`
            raise Stopped


def run_live(
    pipeline: beam.Pipeline, config: SegmentationConfig, subscription: Subscription
) -> PipelineResult:
    """Runs the job until SIGINT or SIGTERM, and returns when the results of all pulled messages are written.

    A second signal ends the process at once.

    Raises:
      ConfigError: the subscription does not exist, or Pub/Sub does not answer.
    """
    gate = Gate()
    reset_totals()
    reset_status()
    read = ReadGatedSubscription(subscription.name, gate.check)
    build(pipeline | READ_EVENTS >> read, config)
    with (
        Heartbeat(subscription.name) as heartbeat,
        Periodically(HEARTBEAT_SECONDS, heartbeat.beat) as beats,
        Periodically(SUMMARY_SECONDS, _log_summary),
        Periodically(STATUS_SECONDS, write_status),
        _on_signal(gate.close, beats.now),
    ):
        result = pipeline.run()
        _LOGGER.info("live: taking messages from %s; Ctrl-C ends the run", subscription.name)
        try:
            _wait(result)
        finally:
            _log_summary()
    write_status()
    _LOGGER.info("live: ended; all pulled messages are processed")
    return result


def _wait(result: PipelineResult) -> None:
    level = _RUNNER_LOGGER.level
    try:
        result.wait_until_finish()
    except Stopped:
        result.cancel()
    finally:
        _RUNNER_LOGGER.setLevel(level)


@contextlib.contextmanager
def _on_signal(*actions: Callable[[], None]) -> Iterator[None]:
    """Calls the actions at the first SIGINT or SIGTERM. The second one ends the process at once.

    Does nothing outside the main thread, which alone can handle signals, and nothing for a signal that the
    process was started to ignore.
    """
    handlers: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        for handled in handlers:
            signal.signal(handled, signal.SIG_DFL)
        for action in actions:
            action()
        _LOGGER.info("live: stopping after the pulled messages; send the signal again to stop at once")

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                handlers[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _log_summary() -> None:
    _LOGGER.info("live: %s", summary(total_counts(), total_observations()))


def summary(counts: dict[str, int], observations: dict[str, Observed]) -> str:
    """Formats the counts and lags of a run so far as one line."""
    dead_letters = sum(count for name, count in counts.items() if name.startswith("events_dead_lettered_"))
    parts = [
        f"{counts.get('events_parsed', 0)} events",
        f"{counts.get('events_late', 0)} late",
        f"{counts.get('events_repeated', 0)} repeated",
        f"{dead_letters} dead letters",
        f"{counts.get('heartbeats', 0)} heartbeats",
        *(f"{count.number} {count.name}" for count in (*profile_counts(counts), *write_counts(counts))),
    ]
    for name in ("event_lag_ms", "exit_lag_ms"):
        observed = observations.get(name)
        if observed is not None:
            mean = observed.total / observed.values
            parts.append(f"{name} mean {mean:.0f} max {observed.greatest} of {observed.values}")
    return ", ".join(parts)
