"""The main job with its history in BigQuery, as a user runs it, against a stand-in that holds rows to the schema."""

import gzip
import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import redis
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Script

from pipeline.config import Files, SegmentationConfig, Subscription
from pipeline.config import Table as HistoryTable
from pipeline.flags.cloud import STORAGE_WRITE_TARGET, storage_write_service
from pipeline.graph import build
from pipeline.main import LOCAL_RUNNER, main
from segmentation.messages import Message
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS
from stores.history.table_schemas import table_schema
from stores.redis.access import RedisTarget
from tests.bigquery_stub import BigQueryStub, Table
from tests.events import START_MS, payload
from tests.storage_write_stub import StorageWriteStub, taken
from tests.stores.history.test_views import read_view
from transforms.append_rows import textual_row
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


def at_the_end() -> int:
    return START_MS + 700_000


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


def test_a_live_job_tells_the_table_of_exits_by_time_alone(
    bigquery: BigQueryStub, table: Table, tmp_path: Path, redis_url: str
) -> None:
    """The watermark moves by hand here, in the place of the subscription's."""
    config = SegmentationConfig(
        source=Subscription("projects/project-x/subscriptions/events"),
        rules_text="version: 1\nsegments:\n  viewer: {when: {event: Product Viewed, within: 10m}}\n",
        redis=RedisTarget(redis_url),
        redis_key_prefix="segments:",
        profile_ttl_ms=DEFAULT_PROFILE_TTL_MS,
        history=HistoryTable(TABLE),
        dead_letters=Files(f"{tmp_path}/dead"),
    )
    script = (
        Script()
        .with_output_types(Message)
        .advance_watermark_to(START_MS / 1000)
        .add_elements([Message(payload(1, "Product Viewed"), START_MS + 2000)])
        .advance_watermark_to(START_MS / 1000 + 300)
        .add_elements([Message(payload(2, "Product Viewed", "u2"), START_MS + 3000)])
        .advance_watermark_to(START_MS / 1000 + 601)
        .advance_watermark_to(START_MS / 1000 + 700)
        .advance_watermark_to_infinity()
    )
    pipeline = beam.Pipeline(runner=LOCAL_RUNNER, options=PipelineOptions(["--streaming"]))
    build(pipeline | script, config, at_the_end)
    pipeline.run().wait_until_finish()
    assert sorted((row["profile_id"], row["change"], row["cause"]) for row in table.rows) == [
        ("u1", "entered", "event"),
        ("u1", "exited", "time"),
        ("u2", "entered", "event"),
        ("u2", "exited", "time"),
    ]
    assert len(bigquery.requests) >= 3


def test_a_table_that_is_not_there_ends_the_run(
    bigquery: BigQueryStub, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rows are no dead letters: they can be had again."""
    assert main([*flags, f"--history_table={TABLE}"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"segments run: the run failed: {TABLE} took 0 of ")
    assert "HTTP 404 notFound; create the table" in last
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


# The Storage Write API


JAR = f"beam-sdks-java-io-google-cloud-platform-expansion-service-{beam.__version__}.jar"


def service_at(where: str) -> str:
    return f"--beam_services={json.dumps({STORAGE_WRITE_TARGET: where})}"


def test_the_storage_write_api_gets_the_rows_that_the_files_get(flags: list[str], tmp_path: Path) -> None:
    assert main([*flags, f"--history_path={tmp_path}/history"]) == 0
    with StorageWriteStub() as service:
        method = ["--history_method=STORAGE_WRITE_API", service_at(service.address)]
        assert main([*flags, f"--history_table={TABLE}", "--runner=FnApiRunner", *method]) == 0
    columns = [column["name"] for column in table_schema("segment_changes") if column["type"] == "TIMESTAMP"]
    rows = [textual_row(row._asdict(), tuple(columns)) for row in taken]
    assert without_stamps(rows) == without_stamps(lines_of(tmp_path, "history"))
    assert lines_of(tmp_path, "dead") == []


@pytest.mark.parametrize(
    "more, expected",
    [
        (
            ["--runner=FnApiRunner"],
            f"--history_method=STORAGE_WRITE_API needs the file {{home}}/jars/{JAR}, which is {JAR} from Maven "
            "Central and Java 11 or later, on the PATH or in $JAVA_HOME",
        ),
        (
            ["--runner=FnApiRunner", service_at("/nowhere/beam.jar")],
            "--history_method=STORAGE_WRITE_API needs the file /nowhere/beam.jar, ",
        ),
        (
            [service_at("localhost:8097")],
            "--history_method=STORAGE_WRITE_API runs partly in Java, which the local runner",
        ),
    ],
)
def test_the_storage_write_api_asks_for_what_it_needs(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    expected: str,
) -> None:
    monkeypatch.setattr("pipeline.flags.cloud.JavaJarServer.JAR_CACHE", f"{tmp_path}/jars")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*flags, f"--history_table={TABLE}", "--history_method=STORAGE_WRITE_API", *more]) == 2
    assert capsys.readouterr().err.startswith(f"segments run: {expected.format(home=tmp_path)}")


def test_java_and_the_jar_are_all_that_the_storage_write_api_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / JAR).touch()
    (tmp_path / "java").touch(mode=0o755)
    monkeypatch.setattr("pipeline.flags.cloud.JavaJarServer.JAR_CACHE", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert storage_write_service(PipelineOptions([])) == f"{tmp_path}/{JAR}"


def test_the_method_goes_with_a_table(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, f"--history_path={tmp_path}/history", "--history_method=STORAGE_WRITE_API"]) == 2
    assert "--history_method goes with --history_table only" in capsys.readouterr().err
    assert main([*flags, f"--history_table={TABLE}", "--history_method=FILE_LOADS"]) == 2
    assert "invalid choice: 'FILE_LOADS'" in capsys.readouterr().err
