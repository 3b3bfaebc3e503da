"""The Python part of writing rows through the Storage Write API."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.timestamp import Timestamp

from segmentation.dead_letters import DeadLetter
from stores.history.table_schemas import table_schema
from tests import storage_write_stub
from tests.storage_write_stub import StorageWriteStub
from tests.stores.samples import DAY_MS, NOON_MS, change
from transforms.append_rows import AppendRows, textual_row, typed_row
from transforms.step_metrics import reset_totals, total_counts

TABLE = "project-x:shop.segment_changes"
TIMESTAMPS = ("event_time", "processed_at", "expires_at")


def noon() -> int:
    return NOON_MS


@pytest.fixture
def service() -> Iterator[StorageWriteStub]:
    with StorageWriteStub() as stub:
        yield stub


def append(service: StorageWriteStub, rows: list[dict[str, Any]], dead_letters: list[DeadLetter]) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    step = AppendRows(TABLE, table_schema("segment_changes"), service.address, "WriteHistory", noon)
    assert_that(pipeline | beam.Create(rows) | "WriteHistory" >> step, equal_to(dead_letters))
    pipeline.run().wait_until_finish()


def test_rows_arrive_typed(service: StorageWriteStub) -> None:
    rows = [
        change(number, expires_at_ms=None if number % 2 else NOON_MS + DAY_MS).row() for number in range(5)
    ]
    append(service, rows, [])
    found = sorted(
        (row._asdict() for row in storage_write_stub.taken), key=lambda row: row["profile_version"]
    )
    assert found == [typed_row(row, TIMESTAMPS) for row in rows]
    assert {name: type(value) for name, value in found[0].items() if name in TIMESTAMPS} == dict.fromkeys(
        TIMESTAMPS, Timestamp
    )


def test_a_jar_is_started_as_the_expansion_service(
    service: StorageWriteStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def start(jar: str) -> str:
        started.append(jar)
        return service.address

    monkeypatch.setattr("transforms.append_rows.JavaJarExpansionService", start)
    step = AppendRows(TABLE, table_schema("segment_changes"), "/opt/service.jar", "WriteHistory", noon)
    _ = beam.Pipeline(runner="FnApiRunner") | beam.Create([change(1).row()]) | "WriteHistory" >> step
    assert started == ["/opt/service.jar"]


def test_the_table_is_never_made_and_rows_are_taken_at_once(service: StorageWriteStub) -> None:
    append(service, [change(1).row()], [])
    (config,) = storage_write_stub.configs
    assert config.table == TABLE
    assert (config.create_disposition, config.write_disposition) == ("CREATE_NEVER", "WRITE_APPEND")
    assert config.use_at_least_once_semantics


def test_a_refused_row_becomes_one_dead_letter_whole(service: StorageWriteStub) -> None:
    rows = [
        change(number, expires_at_ms=None if number % 2 else NOON_MS + DAY_MS).row() for number in range(5)
    ]
    storage_write_stub.refuses.append(lambda row: row.profile_version in (2, 3))
    message = "row: BigQuery finds it invalid"
    dead_letters = [
        DeadLetter(orjson.dumps(row), "WriteHistory", "row_refused", message, NOON_MS) for row in rows[2:4]
    ]
    reset_totals()
    append(service, rows, dead_letters)
    assert len(storage_write_stub.taken) == 3
    assert total_counts()["rows_refused"] == 2


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00.000Z", "2026-01-31T12:00:00.001Z", "9999-12-31T23:59:59.999Z"]
)
def test_a_typed_row_says_the_same(text: str) -> None:
    row = {"event_time": text, "expires_at": None, "profile_version": 2**53 - 1, "message_id": None}
    typed = typed_row(row, TIMESTAMPS)
    assert typed["event_time"] == Timestamp.from_rfc3339(text)
    assert textual_row(typed, TIMESTAMPS) == row
