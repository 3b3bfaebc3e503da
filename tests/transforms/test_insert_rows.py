"""Rows on their way into a BigQuery table, over HTTP, while the service refuses, fails and stalls."""

import functools
import json
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Script
from apache_beam.testing.util import assert_that, equal_to
from google.api_core.retry import Retry
from google.cloud import bigquery as bigquery_client
from google.cloud.bigquery.retry import DEFAULT_RETRY

from tests.bigquery_stub import BigQueryStub, Fault, HangUp, HttpError, RowErrors, Stall, Table
from tests.transforms.samples import DAY_MS, NOON_MS, change
from transforms.insert_rows import InsertRows
from transforms.messages import DeadLetter

BUNDLE_BASED = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
TABLE = "project-x:shop.segment_changes"

_INSERT_ROWS = bigquery_client.Client.insert_rows_json

both_runners = pytest.mark.parametrize("runner", [BUNDLE_BASED, "FnApiRunner"], ids=["bundles", "fn_api"])


def noon() -> int:
    return NOON_MS


def rows_of(count: int) -> list[dict[str, Any]]:
    return [change(number, f"profile-{number % 3}", NOON_MS + DAY_MS).row() for number in range(count)]


def refusal(row: dict[str, Any], message: str) -> DeadLetter:
    payload = json.dumps(row, separators=(",", ":")).encode()
    return DeadLetter(payload, "WriteHistory", "row_refused", message, NOON_MS)


def insert(rows: list[dict[str, Any]], dead_letters: list[DeadLetter], runner: str = BUNDLE_BASED) -> None:
    """Runs the step alone, and compares what it refuses."""
    pipeline = beam.Pipeline(runner=runner)
    refused = pipeline | beam.Create(rows) | "WriteHistory" >> InsertRows(TABLE, "WriteHistory", noon)
    assert_that(refused, equal_to(dead_letters))
    pipeline.run().wait_until_finish()


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["profile_version"])


@pytest.fixture
def table(bigquery: BigQueryStub) -> Table:
    return bigquery.create_table(TABLE)


@pytest.fixture(autouse=True)
def retry(monkeypatch: pytest.MonkeyPatch) -> Retry:
    """Beam and the client wait for nothing between two tries."""
    monkeypatch.setattr("apache_beam.utils.retry.Clock.sleep", lambda clock, seconds: None)
    clock = SimpleNamespace(time=lambda: 0.0, sleep=lambda seconds: None)
    monkeypatch.setattr("apache_beam.io.gcp.bigquery.time", clock)
    return use(monkeypatch, DEFAULT_RETRY.with_delay(initial=1e-9, maximum=1e-9))


@pytest.fixture
def one_try(retry: Retry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gives up at once, as it otherwise does after ten minutes."""
    use(monkeypatch, retry.with_timeout(0))


def use(monkeypatch: pytest.MonkeyPatch, retry: Retry) -> Retry:
    insert_rows = functools.partialmethod(_INSERT_ROWS, retry=retry)
    monkeypatch.setattr(bigquery_client.Client, "insert_rows_json", insert_rows)
    return retry


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
    with caplog.at_level("DEBUG", "apache_beam.io.gcp.bigquery"):
        insert(rows, [refusal(rows[3], "row: BigQuery finds it invalid")])
    assert "There were errors inserting to BigQuery. Will retry." in caplog.messages
    assert "There were errors inserting to BigQuery. Will not retry." in caplog.messages
    assert "profile-" not in caplog.text
    assert "change-" not in caplog.text


@both_runners
def test_what_passes_is_tried_again_and_nothing_is_lost(
    bigquery: BigQueryStub, table: Table, runner: str
) -> None:
    rows = rows_of(20)
    faults = [
        HttpError(429, "rateLimitExceeded"),
        HttpError(403, "rateLimitExceeded"),
        HttpError(500, "internalError"),
        RowErrors("backendError"),
        HttpError(502, "badGateway"),
        HttpError(503, "backendError"),
        RowErrors("rateLimitExceeded", lambda row: row["profile_version"] % 2 == 0),
        HangUp(rows_taken=False),
        HttpError(504, "timeout"),
        HttpError(413, "uploadTooLarge"),
        RowErrors("stopped"),
    ]
    bigquery.faults += faults
    insert(rows, [], runner)
    assert in_order(table.rows) == rows
    assert not bigquery.faults, "each of them came up"
    assert len(bigquery.requests) > len(faults)


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
    assert {row["change_id"] for row in table.rows} == {row["change_id"] for row in rows}
    assert len(table.rows) > 20
    ids = {(row["change_id"], insert_id) for row, insert_id in zip(table.rows, table.insert_ids, strict=True)}
    assert len(ids) == 20


def test_an_answer_that_does_not_come_is_not_waited_for(
    bigquery: BigQueryStub, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apache_beam.io.gcp.bigquery_tools.BQ_STREAMING_INSERT_TIMEOUT_SEC", 0.2)
    bigquery.faults.append(Stall())
    rows = rows_of(5)
    insert(rows, [])
    assert in_order(table.rows) == rows


@pytest.mark.parametrize(
    "fault, phrase, runner",
    [
        (HttpError(404, "notFound"), "Not Found", BUNDLE_BASED),
        (HttpError(404, "notFound"), "Not Found", "FnApiRunner"),
        (HttpError(403, "accessDenied"), "Forbidden", "FnApiRunner"),
        (HttpError(403, "quotaExceeded"), "Forbidden", "FnApiRunner"),
        (HttpError(401, "authError"), "Unauthorized", "FnApiRunner"),
        (HttpError(400, "invalid"), "Bad Request", "FnApiRunner"),
        (HttpError(501, "notImplemented"), "Not Implemented", "FnApiRunner"),
    ],
)
def test_a_request_refused_as_a_whole_fails_the_pipeline(
    bigquery: BigQueryStub, table: Table, fault: Fault, phrase: str, runner: str
) -> None:
    """Beam would let every row pass for refused, and the job go on."""
    bigquery.lasting_fault = fault
    with pytest.raises(Exception, match=f"{TABLE} takes no rows: {phrase}; does it exist"):
        insert(rows_of(3), [], runner)


@pytest.mark.usefixtures("one_try")
@pytest.mark.parametrize("fault", [HttpError(503, "backendError"), HangUp(rows_taken=False)], ids=str)
def test_what_lasts_fails_the_pipeline(bigquery: BigQueryStub, table: Table, fault: Fault) -> None:
    bigquery.lasting_fault = fault
    with pytest.raises(Exception, match=r"RetryError: Timeout of .* exceeded, last exception: "):
        insert(rows_of(3), [])


@pytest.mark.usefixtures("one_try")
def test_no_server_fails_the_pipeline(bigquery: BigQueryStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(Exception, match="Connection refused"):
        insert(rows_of(3), [])


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
    _ = pipeline | script | "WriteHistory" >> InsertRows(TABLE, "WriteHistory", noon)
    pipeline.run().wait_until_finish()
    assert in_order(table.rows) == rows
    assert len(bigquery.requests) >= 3, "one for each arrival"
