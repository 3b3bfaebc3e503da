"""Inserts the history's rows into a BigQuery table."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.transforms.util import ReshufflePerKey
from apache_beam.utils.windowed_value import WindowedValue

from segmentation.dead_letters import DeadLetter
from stores.clock import Clock, system_clock_ms
from stores.history.streaming_inserts import BigQueryTable, Row
from transforms.shards import shard_of
from transforms.step_metrics import StepMetrics, Throttling

_MAX_BATCH_ROWS = 500
_MAX_BATCH_BYTES = 1_000_000
"""BigQuery accepts 10 MB per request, in which one character can take six bytes."""


@dataclasses.dataclass
class InsertRows(beam.PTransform):
    """Streams rows of the history into an existing table; emits the rows that BigQuery rejects, as dead letters.

    At least once: a retried bundle inserts the same rows again, because they come through a shuffle, and the table's
    views drop repeats. Rows can arrive in any order; time and watermarks have no effect. A row that BigQuery finds
    invalid is emitted once, whole, with the reason `row_refused`.

    A bundle fails, and the runner retries it, if BigQuery stays busy or unreachable, or if the cause is not a row: the
    table or a permission is missing, or a quota is used up.

    Counts `rows_inserted` and `rows_refused`; the distribution `bigquery_insert_ms` has the time per batch.

    Args:
      table: PROJECT:DATASET.TABLE.
      step: name of the step, for metrics and dead letters.
      clock: returns the processing time.
      sleep: waits before an insert is retried; the argument is in seconds.
    """

    table: str
    step: str
    clock: Clock = system_clock_ms
    sleep: Callable[[float], None] = time.sleep

    def expand(self, rows: beam.PCollection[dict[str, Any]]) -> beam.PCollection[DeadLetter]:
        insert = _InsertRowsFn(self.table, self.step, self.clock, self.sleep)
        return (
            rows
            | "KeyByShard" >> beam.Map(_by_shard).with_output_types(tuple[int, bytes])
            | "StableInput" >> ReshufflePerKey()
            | "Insert" >> beam.ParDo(insert).with_output_types(DeadLetter)
        )


class _InsertRowsFn(beam.DoFn):
    """Collects the rows of a bundle, as JSON, and inserts them in batches."""

    def __init__(self, table: str, step: str, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._table_name = table
        self._step = step
        self._clock = clock
        self._sleep = sleep
        self._throttling = Throttling(step)

    def setup(self) -> None:
        self._table = BigQueryTable(self._table_name, sleep=self._sleep, on_throttled=self._throttling.count)

    def start_bundle(self) -> None:
        self._metrics = StepMetrics(self._step)
        self._batch: list[WindowedValue] = []
        self._batch_bytes = 0

    def process(
        self,
        element: tuple[int, bytes],
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[WindowedValue]:
        self._batch.append(WindowedValue(element[1], timestamp, (window,)))
        self._batch_bytes += len(element[1])
        if len(self._batch) >= _MAX_BATCH_ROWS or self._batch_bytes >= _MAX_BATCH_BYTES:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._batch:
            yield from self._flush()
        self._metrics.flush()

    def _flush(self) -> list[WindowedValue]:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        started = time.monotonic()
        rejected = self._table.insert([_row(element.value) for element in batch])
        self._metrics.observe("bigquery_insert_ms", round((time.monotonic() - started) * 1000))
        self._metrics.count("rows_inserted", len(batch) - len(rejected))
        self._metrics.count("rows_refused", len(rejected))
        return [
            batch[position].with_value(self._dead_letter(batch[position].value, columns))
            for position, columns in rejected
        ]

    def _dead_letter(self, payload: bytes, columns: tuple[str, ...]) -> DeadLetter:
        message = f"{', '.join(columns) or 'row'}: BigQuery finds it invalid"
        return DeadLetter(payload, self._step, "row_refused", message, self._clock())


def _by_shard(row: dict[str, Any]) -> tuple[int, bytes]:
    return shard_of(row["profile_id"]), orjson.dumps(row)


def _row(payload: bytes) -> Row:
    """The version is part of the id: a second run has the same changes with other versions, and the views need all."""
    values = orjson.loads(payload)
    return Row(f"{values['change_id']}-{values['profile_version']}", values)
