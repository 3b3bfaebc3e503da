"""Refuses what is no event, so that nothing after it can fail on data."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import apache_beam as beam

from segmentation.dead_letters import DeadLetter
from segmentation.events import Event, InvalidEvent, parse_event
from transforms.clock import Clock, system_clock_ms
from transforms.messages import Message
from transforms.step_metrics import StepMetrics

_STEP = "ParseEvents"
_DEAD_LETTERS: Literal["dead_letters"] = "dead_letters"
CONTROL_ATTRIBUTE = "control"


class ParsedEvents(NamedTuple):
    """The two outputs of `ParseEvents`."""

    events: beam.PCollection[Event]
    dead_letters: beam.PCollection[DeadLetter]


@dataclasses.dataclass
class ParseEvents(beam.PTransform):
    """To `ParsedEvents`: emits each valid message as an event at once, and each other one as a dead letter, whole.

    Events after `as_of_ms` have not happened yet: they are counted and left out. Heartbeats are dropped.
    Counts `events_read`, `events_parsed`, `events_after_as_of`, `heartbeats` and, by reason,
    `events_dead_lettered_REASON`.

    Args:
      as_of_ms: bounded, the end of time; None live.
      clock: the processing time.
    """

    as_of_ms: int | None = None
    clock: Clock = system_clock_ms

    def expand(self, messages: beam.PCollection[Message]) -> Any:
        parsed = messages | "Parse" >> beam.ParDo(_ParseEventsFn(self.as_of_ms, self.clock)).with_outputs(
            _DEAD_LETTERS, main="events"
        )
        return ParsedEvents(parsed.events, parsed[_DEAD_LETTERS])


class _ParseEventsFn(beam.DoFn):
    def __init__(self, as_of_ms: int | None, clock: Clock) -> None:
        self._as_of_ms = as_of_ms
        self._clock = clock

    def start_bundle(self) -> None:
        self._metrics = StepMetrics(_STEP)

    def process(
        self, message: Message
    ) -> Iterator[Event | beam.pvalue.TaggedOutput[Literal["dead_letters"], DeadLetter]]:
        metrics = self._metrics
        metrics.count("events_read")
        try:
            if message.attributes and CONTROL_ATTRIBUTE in message.attributes:
                self._take_control(message)
                return
            event = parse_event(message.payload, message.publish_time_ms)
        except InvalidEvent as error:
            metrics.count(f"events_dead_lettered_{error.reason}")
            yield beam.pvalue.TaggedOutput(_DEAD_LETTERS, self._dead_letter(message, error))
            return
        if self._as_of_ms is not None and event.timestamp_ms > self._as_of_ms:
            metrics.count("events_after_as_of")
            return
        metrics.count("events_parsed")
        yield event

    def finish_bundle(self) -> None:
        self._metrics.flush()

    def _take_control(self, message: Message) -> None:
        control = message.attributes[CONTROL_ATTRIBUTE]
        if control != "heartbeat":
            raise InvalidEvent("bad_type", "attribute control: this version knows heartbeat only")
        self._metrics.count("heartbeats")

    def _dead_letter(self, message: Message, error: InvalidEvent) -> DeadLetter:
        return DeadLetter(message.payload, _STEP, error.reason, str(error), self._clock(), message.attributes)
