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
    """Appends rows of the history to an existing table; emits those that BigQuery refuses, as dead letters.

    The same as `InsertRows`, in all that is promised, for a lower price by the byte. Beam's own step does the work; it
    runs in Java, beside Python, which takes a runner that has both, such as Dataflow's. At least once: to the default
    stream, which takes rows at once.

    Args:
      table: PROJECT:DATASET.TABLE.
      schema: the table's columns, as in its schema file; rows have them all, in that order.
      expansion_service: what describes the Java step to Beam: HOST:PORT, or a jar on this machine.
      step: in whose name rows are refused. Counts `rows_refused`.
      clock: the processing time.
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
        # BigQuery's own words may quote the row.
        return [
            DeadLetter(payload, self._step, "row_refused", "row: BigQuery finds it invalid", self._clock())
        ]

    def finish_bundle(self) -> None:
        self._metrics.flush()


def typed_row(row: dict[str, Any], timestamps: tuple[str, ...]) -> dict[str, Any]:
    """Returns a row with Beam's timestamps in some columns, instead of text; null stays null."""
    return {
        name: Timestamp(micros=parse_timestamp(value) * 1000)
        if name in timestamps and value is not None
        else value
        for name, value in row.items()
    }


def textual_row(row: dict[str, Any], timestamps: tuple[str, ...]) -> dict[str, Any]:
    """Returns the row that `typed_row` was given."""
    return {
        name: format_timestamp(value.micros // 1000) if name in timestamps and value is not None else value
        for name, value in row.items()
    }
