"""Inserts rows into a BigQuery table."""

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.io.gcp.bigquery_tools import RetryStrategy

from transforms.clock import Clock, system_clock_ms
from transforms.messages import DeadLetter
from transforms.step_metrics import StepMetrics

_SHARDS = 16
"""How many requests run at the same time at most: Beam's 500 would leave one row to each."""
_ROW_AT_FAULT = "invalid"


class InsertError(RuntimeError):
    """BigQuery takes no row at all: the message says what to look at."""


@dataclasses.dataclass
class InsertRows(beam.PTransform):
    """Streams rows into an existing table as they come; emits the rows that BigQuery refuses, as dead letters.

    At least once: a row may be inserted again, and the table's views drop repeats. Nothing waits for the
    watermark. A row that BigQuery finds invalid is emitted once, whole, with the reason `row_refused`.

    What may pass is retried by Beam: a full quota per second, a broken connection, an answer that takes longer
    than two minutes. A bundle fails, and is retried by the runner, when that lasts for more than ten minutes, or
    when BigQuery refuses a request as a whole: no table, no permission, no quota left.

    Args:
      table: PROJECT:DATASET.TABLE.
      step: in whose name rows are refused; counts `rows_refused`.
      clock: the processing time.
    """

    table: str
    step: str
    clock: Clock = system_clock_ms

    def expand(self, rows: beam.PCollection[dict[str, Any]]) -> beam.PCollection[DeadLetter]:
        inserted = rows | "Insert" >> WriteToBigQuery(
            self.table,
            method=WriteToBigQuery.Method.STREAMING_INSERTS,
            create_disposition=BigQueryDisposition.CREATE_NEVER,
            write_disposition=BigQueryDisposition.WRITE_APPEND,
            insert_retry_strategy=RetryStrategy.RETRY_ON_TRANSIENT_ERROR,
            num_streaming_keys=_SHARDS,
        )
        return inserted.failed_rows_with_errors | "Refused" >> beam.ParDo(
            _RefusedFn(self.step, self.clock)
        ).with_output_types(DeadLetter)


class _RefusedFn(beam.DoFn):
    """Tells a refused row from a refused request: of both Beam says that all their rows failed."""

    def __init__(self, step: str, clock: Clock) -> None:
        self._step = step
        self._clock = clock

    def start_bundle(self) -> None:
        self._metrics = StepMetrics(self._step)

    def process(self, failed: Any) -> Iterator[DeadLetter]:
        table, row, errors = failed
        if isinstance(errors, str):  # Beam's own, of a row that fits into no request
            errors = [{"reason": _ROW_AT_FAULT}]
        reasons = {error["reason"] for error in errors}
        if _ROW_AT_FAULT not in reasons:
            raise InsertError(
                f"{table} takes no rows: {', '.join(sorted(reasons))}; "
                "does it exist, may the job's account insert into it, and is there quota left?"
            )
        self._metrics.count("rows_refused")
        # BigQuery's own words quote the row's values: only the column's name is kept.
        columns = sorted({error.get("location") or "row" for error in errors})
        message = f"{', '.join(columns)}: BigQuery finds it invalid"
        yield DeadLetter(orjson.dumps(row), self._step, "row_refused", message, self._clock())

    def finish_bundle(self) -> None:
        self._metrics.flush()


def _drop_row_errors(record: logging.LogRecord) -> bool:
    """Cuts BigQuery's words, which quote rows, off what Beam logs."""
    if isinstance(record.msg, str):
        record.msg = record.msg.partition(" Errors were ")[0]
    return True


logging.getLogger("apache_beam.io.gcp.bigquery").addFilter(_drop_row_errors)
