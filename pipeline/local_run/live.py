"""A live run on this machine: kept awake, counted aloud, and ended on request with nothing half done.

Everything here is for the local runner, which is for trying things out. It acknowledges messages before it
processes them, and keeps its state in memory: docs/live-run.md says what that means, and what Dataflow does.
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

from pipeline.config import SegmentationConfig, Subscription, Topic
from pipeline.flags.pubsub import require_topic
from pipeline.graph import READ_EVENTS, build
from pipeline.local_run.gated_subscription import ReadGatedSubscription
from pipeline.local_run.heartbeat import Heartbeat
from pipeline.local_run.periodically import Periodically
from transforms.step_metrics import Observed, reset_totals, total_counts, total_observations

HEARTBEAT_SECONDS = 0.5
SUMMARY_SECONDS = 60.0
_LOGGER = logging.getLogger(__name__)
_RUNNERS_LOGGER = logging.getLogger("apache_beam.runners.direct.executor")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The run was asked to end, and what it had taken in is written."""


class Gate:
    """Lets the runner pull until it is closed.

    The runner asks before every pull, when everything that it pulled before has gone through the whole graph,
    to the sinks. A closed gate therefore ends the run between two pulls: what was taken in is written, and
    what was not stays in the subscription.
    """

    def __init__(self) -> None:
        self._is_closed = False

    def close(self) -> None:
        """Makes the next question end the run; may be called in a signal's handler."""
        self._is_closed = True

    def ask(self) -> None:
        """Returns if the runner may pull.

        Raises:
          Stopped: it may not.
        """
        if self._is_closed:
            _RUNNERS_LOGGER.setLevel(logging.CRITICAL)  # it would show four tracebacks of what is no failure
            raise Stopped


def run_live(
    pipeline: beam.Pipeline, config: SegmentationConfig, subscription: Subscription
) -> PipelineResult:
    """Runs the job until SIGINT or SIGTERM, and returns when what was taken in is written.

    A second signal ends the process at once.

    Raises:
      ConfigError: the subscription or a topic does not exist, or Pub/Sub cannot be reached.
    """
    if isinstance(config.dead_letters, Topic):
        require_topic("dead_letter_topic", config.dead_letters.name)
    if config.changes_topic is not None:
        require_topic("changes_topic", config.changes_topic)
    gate = Gate()
    reset_totals()
    read = ReadGatedSubscription(subscription.name, gate.ask)
    build(pipeline | READ_EVENTS >> read, config)
    with (
        Heartbeat(subscription.name) as heartbeat,
        Periodically(HEARTBEAT_SECONDS, heartbeat.beat) as beats,
        Periodically(SUMMARY_SECONDS, _log_summary),
        _on_signal(gate.close, beats.now),
    ):
        result = pipeline.run()
        _LOGGER.info("live: taking messages from %s; Ctrl-C ends the run", subscription.name)
        try:
            _wait(result)
        finally:
            _log_summary()
    _LOGGER.info("live: ended; what was taken in is written")
    return result


def _wait(result: PipelineResult) -> None:
    level = _RUNNERS_LOGGER.level
    try:
        result.wait_until_finish()
    except Stopped:
        result.cancel()
    finally:
        _RUNNERS_LOGGER.setLevel(level)


@contextlib.contextmanager
def _on_signal(*actions: Callable[[], None]) -> Iterator[None]:
    """Calls the actions at the first SIGINT or SIGTERM; the second one ends the process at once.

    Only the main thread can take signals; elsewhere, and for a signal that the process was started to ignore,
    this does nothing.
    """
    handlers: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        for taken in handlers:
            signal.signal(taken, signal.SIG_DFL)
        for action in actions:
            action()
        _LOGGER.info("live: stopping, what was taken in is being written; the same again ends at once")

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
    """Returns in one line what a run has done so far."""
    dead_letters = sum(count for name, count in counts.items() if name.startswith("events_dead_lettered_"))
    parts = [
        f"{counts.get('events_parsed', 0)} events",
        f"{counts.get('events_late', 0)} late",
        f"{counts.get('events_repeated', 0)} repeated",
        f"{dead_letters} dead letters",
        f"{counts.get('heartbeats', 0)} heartbeats",
        f"{counts.get('segments_entered', 0)} entered",
        f"{counts.get('segments_exited', 0)} exited",
    ]
    for name in ("event_lag_ms", "exit_lag_ms"):
        observed = observations.get(name)
        if observed is not None:
            mean = observed.total / observed.values
            parts.append(f"{name} mean {mean:.0f} max {observed.greatest} of {observed.values}")
    return ", ".join(parts)
