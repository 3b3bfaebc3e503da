"""The cost of writing a row to BigQuery: with InsertRows, and with Beam's own sink."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import apache_beam as beam
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.io.gcp.bigquery_tools import RetryStrategy

from benchmarks.data import ROOT
from benchmarks.measure import Laps, in_turn, ratios
from benchmarks.results import Figure, figure
from benchmarks.runs import run_seconds
from segmentation.memberships import Change
from transforms.insert_rows import InsertRows

ROWS = 5_000
"""A log has far fewer membership changes than events."""
TABLE = "project-x:shop.segment_changes"
_OCTOBER_MS = 1_569_888_000_000


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures both, with the same rows, against a stand-in for BigQuery in a process of its own."""
    rows = [_row(number) for number in range(min(events, ROWS))]
    with _service():
        seconds = in_turn(
            {"own": _laps(rows, rounds, _insert_rows), "beams": _laps(rows, rounds, _write_to_bigquery)},
            rounds,
        )
    own, beams = ([one / len(rows) * 1e6 for one in seconds[name]] for name in ("own", "beams"))
    return [
        figure("a row into BigQuery: WriteToBigQuery ÷ InsertRows", ratios(beams, own), "×", at_least=3),
        figure("InsertRows", own, "µs per row"),
        figure("WriteToBigQuery, streaming inserts", beams, "µs per row"),
    ]


def _row(number: int) -> dict[str, Any]:
    time_ms = _OCTOBER_MS + number * 1000
    return Change(
        change_id=f"{number:032x}",
        profile_id=f"5126{number % 997:05}",
        segment="window_shopper",
        change="entered",
        event_time_ms=time_ms,
        processed_at_ms=time_ms + 200,
        expires_at_ms=time_ms + 3_600_000,
        profile_version=time_ms * 4096,
        segment_version="9c82f8fde0f81421",
        cause="event",
        message_id=f"8d5232c0-2174-5781-a362-{number:012x}",
        correction=False,
    ).row()


def _laps(rows: list[dict[str, Any]], rounds: int, step: Callable[[], beam.PTransform]) -> Laps:
    for _ in range(rounds):
        yield run_seconds(rows, step(), dict[str, Any])


def _insert_rows() -> beam.PTransform:
    return InsertRows(TABLE, "WriteHistory")


def _write_to_bigquery() -> beam.PTransform:
    return WriteToBigQuery(
        TABLE,
        method=WriteToBigQuery.Method.STREAMING_INSERTS,
        create_disposition=BigQueryDisposition.CREATE_NEVER,
        insert_retry_strategy=RetryStrategy.RETRY_ON_TRANSIENT_ERROR,
        num_streaming_keys=32,
    )


@contextlib.contextmanager
def _service() -> Iterator[None]:
    """Redirects this process's BigQuery clients to a stand-in."""
    with tempfile.TemporaryDirectory() as folder:
        key_file = f"{folder}/service_account.json"
        command = [sys.executable, "-m", "tests.bigquery_stub", key_file, TABLE]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            host = server.stdout.readline().strip()
            led = {"BIGQUERY_EMULATOR_HOST": host, "GOOGLE_APPLICATION_CREDENTIALS": key_file}
            # Else the credentials ask Google itself, in the background, where they may be used.
            lookup = "google.oauth2.service_account.Credentials._build_regional_access_boundary_lookup_url"
            with mock.patch.dict(os.environ, led), mock.patch(lookup, return_value=None):
                yield
