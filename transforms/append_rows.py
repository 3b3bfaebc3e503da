"""Appends the history's rows to a BigQuery table through the Storage Write API."""

import dataclasses
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.transforms.external import JavaJarExpansionService
from apache_beam.utils.subprocess_server import is_service_endpoint
from apache_beam.utils.timestamp import Timestamp

from segmentation.dead_letters import DeadLetter
from segmentation.timestamps import format_timestamp, parse_timestamp
from stores.clock import Clock, system_clock_ms
from transforms.step_metrics import StepMetrics


@dataclasses.dataclass
class AppendRows(beam.PTransform):
    """Appends rows of the history to an existing table; emits the rows that BigQuery rejects, as dead letters.

    At least once, with the guarantees of `InsertRows`, at a lower price per byte. Rows are written to the table's
    default stream, so they are visible at once. Beam's own step runs in Java, so this needs a runner with both Python
    and Java, such as Dataflow's. Counts `rows_refused`.

    Args:
      table: PROJECT:DATASET.TABLE.
      schema: the table's columns, as in its schema file. Every row has all of them, in this order.
      expansion_service: the expansion service of the Java step: HOST:PORT, or a jar on this machine.
      step: name of the step, for metrics and dead letters.
      clock: returns the processing time.
    """

    table: str
    schema: list[dict[str, Any]]
    expansion_service: str
    step: str
    clock: Clock = system_clock_ms

    def expand(self, rows: beam.PCollection[dict[str, Any]]) -> beam.PCollection[DeadLetter]:
        service: Any = self.expansion_service
        if not is_service_endpoint(service):
            service = JavaJarExpansionService(service)
        timestamps = tuple(column["name"] for column in self.schema if column["type"] == "TIMESTAMP")
        written = (
            rows
            | "StableInput" >> beam.Reshuffle()
            | "ToTypedRows" >> beam.Map(typed_row, timestamps).with_output_types(dict[str, Any])
            | "Append"
            >> WriteToBigQuery(
                self.table,
                schema={"fields": self.schema},
                method=WriteToBigQuery.Method.STORAGE_WRITE_API,
                create_disposition=BigQueryDisposition.CREATE_NEVER,
                write_disposition=BigQueryDisposition.WRITE_APPEND,
                use_at_least_once=True,
                expansion_service=service,
            )
        )
        refused = _RefusedFn(timestamps, self.step, self.clock)
        return written.failed_rows_with_errors | "Refused" >> beam.ParDo(refused).with_output_types(
            DeadLetter
        )


class _RefusedFn(beam.DoFn):
    def __init__(self, timestamps: tuple[str, ...], step: str, clock: Clock) -> None:
        self._timestamps = timestamps
        self._step = step
        self._clock = clock

    def start_bundle(self) -> None:
        self._metrics = StepMetrics(self._step)

    def process(self, failed: dict[str, Any]) -> list[DeadLetter]:
        self._metrics.count("rows_refused")
        payload = orjson.dumps(textual_row(failed["failed_row"], self._timestamps))
        # BigQuery's own message can quote the row.
        return [
            DeadLetter(payload, self._step, "row_refused", "row: BigQuery finds it invalid", self._clock())
        ]

    def finish_bundle(self) -> None:
        self._metrics.flush()


def typed_row(row: dict[str, Any], timestamps: tuple[str, ...]) -> dict[str, Any]:
    """Returns a row in which the given columns are Beam timestamps instead of text; null stays null."""
    return {
        name: Timestamp(micros=parse_timestamp(value) * 1000)
        if name in timestamps and value is not None
        else value
        for name, value in row.items()
    }


def textual_row(row: dict[str, Any], timestamps: tuple[str, ...]) -> dict[str, Any]:
    """Reverses `typed_row`."""
    return {
        name: format_timestamp(value.micros // 1000) if name in timestamps and value is not None else value
        for name, value in row.items()
    }
