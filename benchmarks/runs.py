"""Runs of one step in a pipeline on the pinned local runner.

That runner takes a step through its whole input before the next step begins. So the clock starts when the
input stands ready, as keyed events in memory, and stops when the pipeline is done. In between lies all that
the step does: its set-up, its elements, its outputs, the commit of its state, and the timers that are due.
Outside lie the building of the pipeline, the start of the runner, and reading and parsing. (From the first
to the last element would leave out the commit, which costs most where there are many users; and a whole run
less an empty one would be the difference of two noisy numbers.)
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue

from benchmarks.measure import Laps, processor_seconds, settle_garbage
from pipeline.main import LOCAL_RUNNER
from segmentation.events import Event

_input: list[Any] = []
"""What the running pipeline emits: elements that its first step would have to pickle, were they its own."""
_started: list[float] = []


def step_laps(
    events: Sequence[Event], step: Callable[[], beam.PTransform], rounds: int, timestamped: bool = False
) -> Laps:
    """Runs the step anew in every round, on all events, keyed by profile.

    Args:
      events: the input, in this order.
      step: makes the step.
      rounds: how often.
      timestamped: the elements carry the events' times, as windows need it.
    """
    for _ in range(rounds):
        yield run_seconds(map(_timestamped if timestamped else _keyed, events), step())


def run_seconds(elements: Iterable[Any], step: beam.PTransform, kind: Any = tuple[str, Event]) -> float:
    """Returns the processor seconds of one step over the elements, which are of that type."""
    _input[:], _started[:] = elements, []
    settle_garbage()
    pipeline = beam.Pipeline(runner=LOCAL_RUNNER)
    emitted = (
        pipeline
        | "Start" >> beam.Impulse()
        | "EmitElements" >> beam.ParDo(_EmitElementsFn()).with_output_types(kind)
    )
    emitted | "Measured" >> step
    pipeline.run().wait_until_finish()
    (started,) = _started
    seconds = processor_seconds() - started
    _input.clear()
    return seconds


def _keyed(event: Event) -> tuple[str, Event]:
    return event.profile_id, event


def _timestamped(event: Event) -> TimestampedValue:
    return TimestampedValue((event.profile_id, event), event.timestamp_ms / 1000)


class _EmitElementsFn(beam.DoFn):
    def process(self, impulse: bytes) -> Iterator[Any]:
        yield from _input

    def finish_bundle(self) -> None:
        _started.append(processor_seconds())
