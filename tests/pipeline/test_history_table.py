"""The main job with its history in BigQuery, as a user runs it, against a stand-in that holds rows to the schema."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import redis

from pipeline.main import main
from tests.bigquery_stub import BigQueryStub, Table
from tests.pipeline.test_history_views import read_view
from transforms.bigquery_table import InsertError
from transforms.step_metrics import reset_totals, total_counts

TABLE = "project-x:shop.segment_changes"
AS_OF = "2019-10-01T03:30:00Z"


@pytest.fixture
def table(bigquery: BigQueryStub) -> Table:
    return bigquery.create_table(TABLE)


@pytest.fixture
def flags(tmp_path: Path, redis_url: str, redis_client: redis.Redis) -> list[str]:
    """Flags of a run over the sessions of some shoppers, without the flag for the history."""
    lines = gzip.decompress(Path("data/shop_views_2019-10-01.jsonl.gz").read_bytes()).splitlines(
        keepends=True
    )
    (tmp_path / "log.jsonl").write_bytes(b"".join(line for line in lines if b'"userId":"5126' in line))
    return [
        f"--events={tmp_path}/log.jsonl",
        "--segments=definitions/segments.yaml",
        f"--redis_url={redis_url}",
        f"--dead_letter_path={tmp_path}/dead",
        f"--as_of={AS_OF}",
    ]


def lines_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob(f"{kind}*") for line in file.read_text().splitlines()]


def without_stamps(rows: list[dict[str, Any]]) -> list[str]:
    """The rows without what differs from run to run, in an order of their own."""
    stamps = ("processed_at", "profile_version")
    return sorted(repr([(name, value) for name, value in row.items() if name not in stamps]) for row in rows)


def intervals(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    columns = "profile_id, segment, segment_version, entered_at, exited_at, expires_at, entered_by, exited_by"
    return sorted(read_view("segment_intervals", rows, columns), key=repr)


@pytest.mark.parametrize("runner", [[], ["--runner=FnApiRunner"]], ids=["pinned", "fn_api"])
def test_the_table_gets_the_rows_that_the_files_get(
    table: Table, flags: list[str], tmp_path: Path, runner: list[str]
) -> None:
    assert main([*flags, f"--history_path={tmp_path}/history"]) == 0
    in_files = lines_of(tmp_path, "history")
    reset_totals()
    assert main([*flags, f"--history_table={TABLE}", *runner]) == 0
    assert len(table.rows) > 20
    assert without_stamps(table.rows) == without_stamps(in_files)
    assert intervals(table.rows) == intervals(in_files)
    assert total_counts()["rows_inserted"] == len(table.rows)
    assert lines_of(tmp_path, "dead") == []


def test_what_the_table_refuses_is_kept_whole_among_the_dead_letters(
    table: Table, flags: list[str], tmp_path: Path
) -> None:
    assert main([*flags, f"--history_path={tmp_path}/history"]) == 0
    expected = lines_of(tmp_path, "history")
    with (tmp_path / "log.jsonl").open("ab") as log:
        log.write(b"{\n")
    table.refuses = lambda row: row["segment"] == "window_shopper"
    reset_totals()
    assert main([*flags, f"--history_table={TABLE}"]) == 0
    dead_letters = lines_of(tmp_path, "dead")
    refused = [json.loads(letter["payload"]) for letter in dead_letters if letter["reason"] == "row_refused"]
    assert {row["segment"] for row in refused} == {"window_shopper"}
    assert without_stamps(table.rows + refused) == without_stamps(expected)
    assert total_counts()["rows_refused"] == len(refused) == len(dead_letters) - 1
    (letter, *_) = [letter for letter in dead_letters if letter["reason"] == "row_refused"]
    assert (letter["step"], letter["message"]) == ("WriteHistory", "row: BigQuery finds it invalid")


def test_a_table_that_is_not_there_ends_the_run(
    bigquery: BigQueryStub, flags: list[str], tmp_path: Path
) -> None:
    """Its rows are no dead letters: they can be had again."""
    with pytest.raises(InsertError, match=f"{TABLE} took 0 of .* HTTP 404 notFound; the table has to exist"):
        main([*flags, f"--history_table={TABLE}"])
    assert lines_of(tmp_path, "dead") == []


@pytest.mark.parametrize(
    "name",
    [
        "shop.segment_changes",
        "project-x.shop.segment_changes",
        "`project-x.shop.segment_changes`",
        "project-x:segment_changes",
        "project-x:shop.",
        "project-x:.segment_changes",
        "project-x:my-shop.segment_changes",
        "project-x:shop.segment_changes$20191001",
        "project-x:shop.segment_changes/other",
        "Project X:shop.segment_changes",
        ":shop.segment_changes",
        "project-x:shop.segment_changes\n",
    ],
)
def test_a_wrong_name_ends_the_program(
    flags: list[str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main([*flags, f"--history_table={name}"]) == 2
    assert "--history_table must look like PROJECT:DATASET.TABLE, got" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key_file, expected",
    [
        (None, "File {folder}/key.json was not found"),
        ("{}", "does not have a valid type"),
        ("not JSON", "not a valid json file"),
    ],
)
def test_a_local_run_without_credentials_ends_before_anything_runs(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key_file: str | None,
    expected: str,
) -> None:
    if key_file is not None:
        (tmp_path / "key.json").write_text(key_file)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/key.json")
    assert main([*flags, f"--history_table={TABLE}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("segments run: --history_table needs Google credentials: ")
    assert expected.format(folder=tmp_path) in error
