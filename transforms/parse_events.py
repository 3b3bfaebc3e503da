"""Parses messages into events, and makes invalid ones dead letters, so that no later step can fail on data."""

import dataclasses
import logging
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import apache_beam as beam

from segmentation.control import CONTROL_ATTRIBUTE, HEARTBEAT
from segmentation.dead_letters import DeadLetter
from segmentation.events import DEFAULT_LIMITS, Event, EventLimits, InvalidEvent, parse_event_and_message
from segmentation.messages import Message
from segmentation.tracking_plan.load import load_tracking_plan
from segmentation.tracking_plan.plan import TrackingPlan, format_violations
from stores.clock import Clock, system_clock_ms
from transforms.clock_checks import check_publish_time
from transforms.step_metrics import StepMetrics

_LOGGER = logging.getLogger(__name__)
_STEP = "ParseEvents"
PROGRESS_LINES = 100_000
_DEAD_LETTERS: Literal["dead_letters"] = "dead_letters"


class ParsedEvents(NamedTuple):
    """The two outputs of `ParseEvents`."""

    events: beam.PCollection[Event]
    dead_letters: beam.PCollection[DeadLetter]


@dataclasses.dataclass
class ParseEvents(beam.PTransform):
    """Emits each valid message as an event, and each other message as a dead letter, whole: see `ParsedEvents`.

    Events after `as_of_ms` are counted and dropped; those that lie further before it than a live event may before its
    publish time are counted. Heartbeats are dropped. An event that violates the tracking plan becomes a dead letter, or
    is counted and emitted, as its `on_violation` requires. Counts `events_read`, `events_parsed`, `events_flagged`,
    `events_after_as_of`, `events_far_before_as_of`, `ids_ignored`, `heartbeats` and, by reason,
    `events_dead_lettered_REASON`.

    A bundle fails, and the runner retries it, if a message was published more than five minutes after `clock`'s time.

    Args:
      as_of_ms: the as-of instant of a bounded run; None in a live run.
      clock: returns the processing time.
      tracking_plan: the names and texts of the plan's files, which must be valid; None without a tracking plan.
      limits: the limits of valid events.
    """

    as_of_ms: int | None = None
    clock: Clock = system_clock_ms
    tracking_plan: tuple[tuple[str, str], ...] | None = dataclasses.field(default=None, repr=False)
    limits: EventLimits = DEFAULT_LIMITS

    def expand(self, messages: beam.PCollection[Message]) -> Any:
        parse = _ParseEventsFn(self.as_of_ms, self.clock, self.tracking_plan, self.limits)
        parsed = messages | "Parse" >> beam.ParDo(parse).with_outputs(_DEAD_LETTERS, main="events")
        return ParsedEvents(parsed.events, parsed[_DEAD_LETTERS])


class _ParseEventsFn(beam.DoFn):
    def __init__(
        self,
        as_of_ms: int | None,
        clock: Clock,
        tracking_plan: tuple[tuple[str, str], ...] | None,
        limits: EventLimits,
    ) -> None:
        self._as_of_ms = as_of_ms
        self._clock = clock
        self._tracking_plan = tracking_plan
        self._limits = limits

    def setup(self) -> None:
        self._plan = _plan_of(self._tracking_plan or ())

    def start_bundle(self) -> None:
        self._metrics = StepMetrics(_STEP)
        self._lines = 0

    def process(
        self, message: Message
    ) -> Iterator[Event | beam.pvalue.TaggedOutput[Literal["dead_letters"], DeadLetter]]:
        metrics = self._metrics
        metrics.count("events_read")
        if message.publish_time_ms is not None:
            check_publish_time(self._clock(), message.publish_time_ms)
        self._lines += 1
        if self._as_of_ms is not None and self._lines % PROGRESS_LINES == 0:
            _LOGGER.info("%s lines read", f"{self._lines:,}")
        try:
            if message.attributes and CONTROL_ATTRIBUTE in message.attributes:
                self._handle_control(message)
                return
            event, content, ignored_ids = parse_event_and_message(
                message.payload, message.publish_time_ms, self._limits
            )
            if self._as_of_ms is not None and event.timestamp_ms > self._as_of_ms:
                metrics.count("events_after_as_of")
                return
            if self._plan is not None:
                self._check(event.name, content, self._plan)
        except InvalidEvent as error:
            metrics.count(f"events_dead_lettered_{error.reason}")
            yield beam.pvalue.TaggedOutput(_DEAD_LETTERS, self._dead_letter(message, error))
            return
        metrics.count("events_parsed")
        if ignored_ids:
            metrics.count("ids_ignored", ignored_ids)
        if self._is_far_before_as_of(event.timestamp_ms):
            metrics.count("events_far_before_as_of")
        yield event

    def finish_bundle(self) -> None:
        self._metrics.flush()

    def _is_far_before_as_of(self, timestamp_ms: int) -> bool:
        oldest_age_ms = self._limits.oldest_age_ms
        if self._as_of_ms is None or oldest_age_ms is None:
            return False
        return timestamp_ms < self._as_of_ms - oldest_age_ms

    def _check(self, name: str, content: dict[str, Any], plan: TrackingPlan) -> None:
        violations = plan.violations(name, content)
        if not violations:
            return
        if plan.on_violation(name) == "reject":
            raise InvalidEvent("tracking_plan", format_violations(violations))
        self._metrics.count("events_flagged")

    def _handle_control(self, message: Message) -> None:
        control = message.attributes[CONTROL_ATTRIBUTE]
        if control != HEARTBEAT:
            raise InvalidEvent("bad_type", "attribute control: this version knows heartbeat only")
        self._metrics.count("heartbeats")

    def _dead_letter(self, message: Message, error: InvalidEvent) -> DeadLetter:
        return DeadLetter(message.payload, _STEP, error.reason, str(error), self._clock(), message.attributes)


@lru_cache(maxsize=4)
def _plan_of(texts: tuple[tuple[str, str], ...]) -> TrackingPlan | None:
    """Returns the plan compiled from its files' texts, once per process; None if there are no files."""
    return load_tracking_plan(dict(texts)) if texts else None
