"""A stand-in for Beam's Java step of the Storage Write API: described over gRPC, as Beam's jar does, run in Python.

Rows cross to it and back through the coders that the two languages share, so their types are held to the schema.
What Java makes of them is not here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import apache_beam as beam
import grpc
from apache_beam import coders
from apache_beam.io.gcp.bigquery import StorageWriteToBigQuery
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_expansion_api_pb2,
    beam_expansion_api_pb2_grpc,
    external_transforms_pb2,
)
from apache_beam.runners.portability.expansion_service import ExpansionServiceServicer
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.schemas import named_tuple_to_schema

taken: list[Any] = []
"""The rows that came, typed."""
configs: list[Any] = []
"""What the step was asked to do, a `Config` each."""
refuses: list[Callable[[Any], bool]] = []
"""If it holds a function: which rows are refused."""


class ErrorHandling(NamedTuple):
    """Where refused rows go."""

    output: str


class Config(NamedTuple):
    """The Java step's own configuration, in part optional."""

    table: str
    create_disposition: str | None
    write_disposition: str | None
    triggering_frequency_seconds: int | None
    use_at_least_once_semantics: bool | None
    auto_sharding: bool | None
    num_streams: int | None
    error_handling: ErrorHandling | None
    use_cdc_writes: bool | None
    primary_key: Sequence[str] | None
    clustering_fields: Sequence[str] | None
    big_lake_configuration: Mapping[str, str] | None


class StorageWriteStub:
    """A server that lives as long as a `with` block; steps run in this process, on FnApiRunner."""

    def __enter__(self) -> Self:
        for kept in (taken, configs, refuses):
            kept.clear()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=1))
        beam_expansion_api_pb2_grpc.add_ExpansionServiceServicer_to_server(_Service(), self._server)
        self._port = self._server.add_secure_port("localhost:0", grpc.local_server_credentials())
        self._server.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(grace=None).wait()

    @property
    def address(self) -> str:
        return f"localhost:{self._port}"


class _Service(ExpansionServiceServicer):
    def DiscoverSchemaTransform(self, request: Any, context: Any = None) -> Any:
        config = beam_expansion_api_pb2.SchemaTransformConfig(config_schema=named_tuple_to_schema(Config))
        return beam_expansion_api_pb2.DiscoverSchemaTransformResponse(
            schema_transform_configs={StorageWriteToBigQuery.IDENTIFIER: config}
        )


class _StorageWrite(beam.PTransform):
    def expand(self, rows: beam.PCollection[Any]) -> Any:
        row: Any = rows.element_type
        failure = RowTypeConstraint.from_fields([("failed_row", row), ("error_message", str)])
        failed = rows | "Take" >> beam.FlatMap(_take).with_output_types(failure) | "Code" >> beam.Reshuffle()
        # With one output alone Beam would not name it.
        nothing = rows | "PostWrite" >> beam.Filter(lambda row: False)
        return {StorageWriteToBigQuery.FAILED_ROWS_WITH_ERRORS: failed, "post_write": nothing}


@beam.PTransform.register_urn(
    common_urns.schematransform_based_expand.urn, external_transforms_pb2.SchemaTransformPayload
)
def _from_payload(transform: Any, payload: Any, context: Any) -> _StorageWrite:
    configs.append(coders.RowCoder(payload.configuration_schema).decode(payload.configuration_row))
    return _StorageWrite()


def _take(row: Any) -> Iterator[beam.Row]:
    if any(refuse(row) for refuse in refuses):
        yield beam.Row(failed_row=row, error_message=f"{row} is outside the allowed bounds")
    else:
        taken.append(row)
