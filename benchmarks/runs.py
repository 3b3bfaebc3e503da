"""Runs of one step in a pipeline on the pinned local runner.

That runner takes a step through its whole input before the next step begins. So the clock starts when the
input stands ready, as keyed events in memory, and stops when the pipeline is done. In between lies all that
the step does: its set-up, its elements, its outputs, the commit of its state, and the timers that are due.
Outside lie the building of the pipeline, the start of the runner, and reading and parsing. (From the first
to the last element would leave out the commit, which costs most where there are many users; and a whole run
less an empty one would be the difference of two noisy numbers.)
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from benchmarks.measure import Laps, processor_seconds
from pipeline.main import LOCAL_RUNNER
from segmentation.events import Event

_input: list[Any] = []
"""What the running pipeline emits: elements that its first step would have to pickle, were they its own."""
_started: list[float] = []


def keyed(events: Sequence[Event]) -> list[tuple[str, Event]]:
    """Returns the input of a stateful step."""
    return [(event.profile_id, event) for event in events]


def step_laps(elements: Sequence[Any], step: Callable[[], beam.PTransform], rounds: int) -> Laps:
    """Runs the step anew in every round, on all elements.

    Args:
      elements: keyed events, or those with a timestamp.
      step: makes the step.
      rounds: how often.
    """
    for _ in range(rounds):
        yield run_seconds(elements, step())


def run_seconds(elements: Sequence[Any], step: beam.PTransform) -> float:
    """Returns the processor seconds of one step over the elements."""
    _input[:], _started[:] = elements, []
    pipeline = beam.Pipeline(runner=LOCAL_RUNNER)
    events = (
        pipeline
        | "Start" >> beam.Impulse()
        | "EmitEvents" >> beam.ParDo(_EmitEventsFn()).with_output_types(tuple[str, Event])
    )
    events | "Measured" >> step
    pipeline.run().wait_until_finish()
    (started,) = _started
    seconds = processor_seconds() - started
    _input.clear()
    return seconds


class _EmitEventsFn(beam.DoFn):
    def process(self, impulse: bytes) -> Iterator[Any]:
        yield from _input

    def finish_bundle(self) -> None:
        _started.append(processor_seconds())
