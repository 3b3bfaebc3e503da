"""The cost of the step UpdateProfiles, against the least possible cost of a stateful step."""

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from benchmarks.data import repeated_events, rules_text
from benchmarks.fold import Fold, fold_laps
from benchmarks.measure import in_turn, ratios
from benchmarks.results import Figure, figure
from benchmarks.runs import step_laps
from segmentation.events import Event
from transforms.update_profiles import UpdateProfiles, rules_of


class RewriteCell(beam.PTransform):
    """Reads and writes one cell of bytes per event, and does nothing else."""

    def __init__(self, cell_bytes: int) -> None:
        super().__init__()
        self._cell_bytes = cell_bytes

    def expand(self, events: beam.PCollection[tuple[str, Event]]) -> beam.PCollection[bytes]:
        return events | beam.ParDo(_RewriteCellFn(self._cell_bytes)).with_output_types(bytes)


class _RewriteCellFn(beam.DoFn):
    CELL = ReadModifyWriteStateSpec("cell", coders.BytesCoder())

    def __init__(self, cell_bytes: int) -> None:
        self._cell_bytes = cell_bytes

    def process(self, element: tuple[str, Event], cell: Any = beam.DoFn.StateParam(CELL)) -> Sequence[bytes]:
        cell.read()
        cell.write(bytes(self._cell_bytes))  # a value of its own for each event, as states are
        return ()


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the step, the bare stateful step and the pure fold, on the same events in the same order."""
    log = repeated_events(events)
    as_of_ms = log[-1].timestamp_ms
    text = rules_text()
    rules = rules_of(text)
    fold = Fold(rules, as_of_ms)
    fold.take(log)
    cell_bytes = round(statistics.median(map(len, fold.states.values())))
    seconds = in_turn(
        {
            "update": step_laps(log, partial(UpdateProfiles, text, as_of_ms=as_of_ms), rounds),
            "cell": step_laps(log, partial(RewriteCell, cell_bytes), rounds),
            "fold": fold_laps([log], rules, rounds),
        },
        rounds,
    )
    update, cell, pure = (
        [one / events * 1e6 for one in seconds[name]] for name in ("update", "cell", "fold")
    )
    least = [sum(parts) for parts in zip(cell, pure, strict=True)]
    return [
        figure("UpdateProfiles ÷ (bare cell + pure fold)", ratios(update, least), "×", at_most=1.3),
        figure("UpdateProfiles", update, "µs per event"),
        figure(f"bare cell: a stateful step that reads and writes {cell_bytes} bytes", cell, "µs per event"),
        figure("pure fold", pure, "µs per event"),
        figure("UpdateProfiles: events per second", [1e6 / one for one in update], "events/s"),
    ]
