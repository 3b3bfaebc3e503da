"""Inserts rows into a BigQuery table."""

import dataclasses
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.io.gcp.bigquery_tools import RetryStrategy

from transforms.clock import Clock, system_clock_ms
from transforms.messages import DeadLetter


@dataclasses.dataclass
class InsertRows(beam.PTransform):
    """Streams rows into an existing table, in small batches; emits the rows that BigQuery refuses for good.

    At least once: a row may be inserted again, and the table's views drop repeats by `change_id`. Transient
    errors are retried by Beam; a refused row becomes a dead letter with the reason `row_refused`.

    Args:
      table: PROJECT:DATASET.TABLE.
      step: in whose name rows are refused.
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
            num_streaming_keys=16,
        )
        return inserted.failed_rows_with_errors | "Refused" >> beam.Map(
            _refused, self.step, self.clock
        ).with_output_types(DeadLetter)


def _refused(failed: Any, step: str, clock: Clock) -> DeadLetter:
    _, row, errors = failed
    reasons = sorted({f"{error.get('location', '')}: {error.get('reason', '')}" for error in errors})
    return DeadLetter(orjson.dumps(row), step, "row_refused", "; ".join(reasons), clock())
