"""Inserts of rows into a BigQuery table over HTTP, with a service that rejects rows, fails and stalls."""

import json
import re
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Script
from apache_beam.testing.util import assert_that, equal_to

from segmentation.dead_letters import DeadLetter
from tests.bigquery_stub import BigQueryStub, Fault, HangUp, HttpError, RowErrors, Stall, Table
from tests.stores.samples import DAY_MS, NOON_MS, change
from tests.waiting import HANGS_AFTER_SECONDS
from transforms.insert_rows import InsertRows

BUNDLE_BASED = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
TABLE = "project-x:shop.segment_changes"

both_runners = pytest.mark.parametrize("runner", [BUNDLE_BASED, "FnApiRunner"], ids=["bundles", "fn_api"])


def noon() -> int:
    return NOON_MS


def on_pause(seconds: float) -> None:
    """Does nothing, unless a test says otherwise."""


def no_pause(seconds: float) -> None:
    """A sleep that takes no time; it goes to the workers by its name."""
    on_pause(seconds)


STEP = InsertRows(TABLE, "WriteHistory", noon, no_pause)


def rows_of(count: int) -> list[dict[str, Any]]:
    return [change(number, f"profile-{number % 3}", NOON_MS + DAY_MS).row() for number in range(count)]


def refusal(row: dict[str, Any], message: str) -> DeadLetter:
    payload = json.dumps(row, separators=(",", ":")).encode()
    return DeadLetter(payload, "WriteHistory", "row_refused", message, NOON_MS)


def insert(rows: list[dict[str, Any]], dead_letters: list[DeadLetter], runner: str = BUNDLE_BASED) -> None:
    """Runs the step alone, and compares what it refuses."""
    pipeline = beam.Pipeline(runner=runner)
    refused = pipeline | beam.Create(rows) | "WriteHistory" >> STEP
    assert_that(refused, equal_to(dead_letters))
    pipeline.run().wait_until_finish()


def is_even(row: dict[str, Any]) -> bool:
    return bool(row["profile_version"] % 2 == 0)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["profile_version"])


def assert_kept(table: Table, rows: list[dict[str, Any]]) -> None:
    """Asserts that the table has the rows and no others; repeats of a row have its insert id."""
    kept = {insert_id: row for row, insert_id in zip(table.rows, table.insert_ids, strict=True)}
    assert in_order(list(kept.values())) == rows
    assert all(row in rows for row in table.rows)


@pytest.fixture
def table(bigquery: BigQueryStub) -> Table:
    return bigquery.create_table(TABLE)


@both_runners
def test_each_row_arrives_once_as_it_is(bigquery: BigQueryStub, table: Table, runner: str) -> None:
    rows = rows_of(700)
    insert(rows, [], runner)
    assert in_order(table.rows) == rows
    assert len(set(table.insert_ids)) == len(rows)
    assert len(bigquery.requests) < 50, "rows travel in batches"


@both_runners
def test_a_refused_row_becomes_one_dead_letter_and_the_others_arrive(table: Table, runner: str) -> None:
    rows = rows_of(9)
    rows[2]["event_time"] = "2026-01-31 12:00"
    rows[4]["correction"] = "perhaps"
    rows[5]["loyalty"] = "gold"
    rows[7]["segment"] = None
    messages = {2: "event_time", 4: "correction", 5: "loyalty", 7: "segment"}
    dead_letters = [
        refusal(rows[n], f"{column}: BigQuery finds it invalid") for n, column in messages.items()
    ]
    insert(rows, dead_letters, runner)
    assert in_order(table.rows) == [row for number, row in enumerate(rows) if number not in messages]


def test_a_row_that_bigquery_has_no_column_to_blame_for(table: Table) -> None:
    rows = rows_of(5)
    table.refuses = lambda row: row["profile_version"] == 3
    insert(rows, [refusal(rows[3], "row: BigQuery finds it invalid")])
    assert len(table.rows) == 4


def test_no_value_of_a_row_gets_into_the_logs(
    bigquery: BigQueryStub, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(5)
    table.refuses = lambda row: row["profile_version"] == 3
    bigquery.faults.append(RowErrors("backendError", lambda row: row["profile_version"] == 1))
    with caplog.at_level("DEBUG"):
        insert(rows, [refusal(rows[3], "row: BigQuery finds it invalid")])
        bigquery.lasting_fault = RowErrors("backendError")
        with pytest.raises(Exception, match="took 0 of 1 rows, then: backendError"):
            insert(rows[:1], [])
    assert "insertAll" in caplog.text
    assert "profile-" not in caplog.text
    assert "change-" not in caplog.text


@pytest.mark.parametrize(
    "faults, runner",
    [
        ([HttpError(429, "rateLimitExceeded"), HttpError(403, "rateLimitExceeded")], BUNDLE_BASED),
        ([HttpError(500, "internalError"), HttpError(502, "badGateway")], BUNDLE_BASED),
        ([HttpError(503, "backendError"), HttpError(504, "timeout")], "FnApiRunner"),
        ([HttpError(403, "quotaExceeded"), HangUp(rows_taken=False)], "FnApiRunner"),
        ([RowErrors("backendError"), RowErrors("timeout", is_even), RowErrors("stopped")], "FnApiRunner"),
    ],
)
def test_what_passes_is_tried_again_and_nothing_is_lost(
    bigquery: BigQueryStub, table: Table, faults: list[Fault], runner: str
) -> None:
    rows = rows_of(20)
    bigquery.faults += faults
    insert(rows, [], runner)
    assert in_order(table.rows) == rows
    assert not bigquery.faults, "each of them came up"


def test_a_refused_row_among_those_tried_again_becomes_one_dead_letter(
    bigquery: BigQueryStub, table: Table
) -> None:
    rows = rows_of(5)
    rows[2]["cause"] = 7
    bigquery.faults += [RowErrors("backendError", lambda row: row["profile_version"] == 1)] * 2
    insert(rows, [refusal(rows[2], "cause: BigQuery finds it invalid")])
    assert in_order(table.rows) == [row for row in rows if row["cause"] != 7]


def test_rows_whose_answer_was_lost_are_sent_again_under_their_insert_ids(
    bigquery: BigQueryStub, table: Table
) -> None:
    """BigQuery drops such repeats for about a minute, the views drop them for good; the stub keeps all."""
    rows = rows_of(20)
    bigquery.faults.append(HangUp(rows_taken=True))
    insert(rows, [])
    assert_kept(table, rows)
    assert len(table.rows) > 20


def test_an_answer_that_does_not_come_is_not_waited_for(
    bigquery: BigQueryStub, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the stall is over, there is time for an answer: on a busy machine, each could come too late."""
    seconds = "stores.history.streaming_inserts.ANSWER_SECONDS"

    def be_patient_after_the_stall(pause: float) -> None:
        if not bigquery.faults:
            monkeypatch.setattr(seconds, HANGS_AFTER_SECONDS)

    monkeypatch.setattr(seconds, 0.2)
    monkeypatch.setattr(f"{__name__}.on_pause", be_patient_after_the_stall)
    bigquery.faults.append(Stall())
    rows = rows_of(5)
    insert(rows, [])
    assert_kept(table, rows)


@pytest.mark.parametrize(
    "fault, reason, runner",
    [
        (HttpError(404, "notFound"), "HTTP 404 notFound; create the table", BUNDLE_BASED),
        (HttpError(404, "notFound"), "HTTP 404 notFound; create the table", "FnApiRunner"),
        (
            HttpError(403, "accessDenied"),
            "HTTP 403 accessDenied; check the permission of the job's account",
            "FnApiRunner",
        ),
        (
            HttpError(403, "quotaExceeded"),
            "HTTP 403 quotaExceeded; check the permission of the job's account",
            "FnApiRunner",
        ),
        (HttpError(401, "authError"), "HTTP 401 authError; check the credentials", "FnApiRunner"),
        (HttpError(400, "invalid"), "HTTP 400 invalid", "FnApiRunner"),
        (HttpError(503, "backendError"), "HTTP 503 backendError", "FnApiRunner"),
        (HangUp(rows_taken=False), "ConnectionError", "FnApiRunner"),
        (RowErrors("stopped"), "stopped", "FnApiRunner"),
    ],
)
def test_where_no_row_is_at_fault_the_pipeline_fails(
    bigquery: BigQueryStub, table: Table, fault: Fault, reason: str, runner: str
) -> None:
    bigquery.lasting_fault = fault
    with pytest.raises(Exception, match=re.escape(f"{TABLE} took 0 of 3 rows, then: {reason}")):
        insert(rows_of(3), [], runner)


def test_what_will_not_change_is_not_tried_again(bigquery: BigQueryStub, table: Table) -> None:
    bigquery.lasting_fault = HttpError(403, "accessDenied")
    with pytest.raises(Exception, match="accessDenied"):
        insert(rows_of(3), [], "FnApiRunner")
    assert len(bigquery.requests) == 1


def test_no_server_fails_the_pipeline(bigquery: BigQueryStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(Exception, match=f"{TABLE} took 0 of 3 rows, then: ConnectionError"):
        insert(rows_of(3), [])


def test_no_credentials_fail_the_pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/nowhere.json")
    with pytest.raises(Exception, match=rf"no rows can be sent to {TABLE}: File .* was not found"):
        insert(rows_of(3), [])


def test_long_rows_travel_in_small_batches(bigquery: BigQueryStub, table: Table) -> None:
    rows = [row | {"message_id": "\x7f" * 30_000} for row in rows_of(100)]
    insert(rows, [])
    assert in_order(table.rows) == rows
    assert max(len(json.dumps(request)) for request in bigquery.requests) < 10_000_000
    assert len(bigquery.requests) > 1


def test_rows_are_known_by_their_ids_again(bigquery: BigQueryStub, table: Table) -> None:
    """A repeated insert of a row has its id; a later run's row of the same change has another."""
    rows = rows_of(2)
    later = rows[0] | {"profile_version": 7}
    for _ in range(2):
        insert([*rows, later], [])
    assert sorted(set(table.insert_ids)) == ["change-0-0", "change-0-7", "change-1-1"]
    assert len(table.insert_ids) == 6


def test_rows_go_as_they_come(bigquery: BigQueryStub, table: Table) -> None:
    """Nothing waits for the watermark, which stands still here until the last moment."""
    rows = rows_of(4)
    script = (
        Script()
        .with_output_types(dict[str, Any])
        .add_elements(rows[:1])
        .add_elements(rows[1:2])
        .add_elements(rows[2:])
        .advance_watermark_to_infinity()
    )
    pipeline = beam.Pipeline(runner=BUNDLE_BASED, options=PipelineOptions(["--streaming"]))
    _ = pipeline | script | "WriteHistory" >> STEP
    pipeline.run().wait_until_finish()
    assert in_order(table.rows) == rows
    assert len(bigquery.requests) >= 3, "one for each arrival"
