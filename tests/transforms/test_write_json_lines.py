"""Rows become lines of files: complete files in a bounded run, one growing file in a live run."""

import json
import resource
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.test_stream import TestStream as Script

from transforms.write_json_lines import WriteJsonLines, _AppendFn

LOCAL_RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
Row = dict[str, Any]
ROWS: list[Row] = [
    {"name": "ä\n\u2028😀", "n": 2**53 + 1, "x": 0.1, "list": [None, True], "map": {"a": {}}},
    {"name": 'a "quoted" \\ line\r\n'},
    {},
]


def write(prefix: Path, rows: list[Row], run: str | None) -> None:
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        created = pipeline | beam.Create(rows, reshuffle=False).with_output_types(Row)
        _ = created | WriteJsonLines(str(prefix), run)


def rows_in(path: Path) -> list[Row]:
    """Returns a file's rows, each of which has a whole line."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    assert b"\r" not in content
    return [json.loads(line) for line in content.decode().removesuffix("\n").split("\n")]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refuse_later_rows(row: Row) -> Row:
    if row["n"] == 99:
        raise ValueError("row 99")
    return row


# Bounded


def test_each_row_of_a_bounded_run_is_a_line_of_its_file(tmp_path: Path) -> None:
    write(tmp_path / "history", ROWS, "r1")
    assert names_in(tmp_path) == {"history-r1-00000-of-00001.jsonl"}
    found = rows_in(tmp_path / "history-r1-00000-of-00001.jsonl")
    assert sorted(map(str, found)) == sorted(map(str, ROWS))


def test_two_bounded_runs_leave_each_others_files_alone(tmp_path: Path) -> None:
    write(tmp_path / "history", [{"n": 1}], "r1")
    write(tmp_path / "history", [{"n": 2}], "r2")
    assert rows_in(tmp_path / "history-r1-00000-of-00001.jsonl") == [{"n": 1}]
    assert rows_in(tmp_path / "history-r2-00000-of-00001.jsonl") == [{"n": 2}]


def test_a_bounded_run_that_fails_leaves_no_file_with_a_part_of_its_rows(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="row 99"), BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        _ = (
            pipeline
            | beam.Create([{"n": number} for number in range(100)], reshuffle=False)
            | beam.Map(refuse_later_rows).with_output_types(Row)
            | WriteJsonLines(str(tmp_path / "history"), "r1")
        )
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_bounded_run_without_rows_has_an_empty_file(tmp_path: Path) -> None:
    write(tmp_path / "dead", [], "r1")
    assert (tmp_path / "dead-r1-00000-of-00001.jsonl").read_bytes() == b""


# Unbounded


def test_an_unbounded_run_appends_a_line_for_each_row(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"of":"an earlier run"}\n')
    write(tmp_path / "history", ROWS, None)
    assert names_in(tmp_path) == {"history.jsonl"}
    first, *others = rows_in(path)
    assert first == {"of": "an earlier run"}
    assert sorted(map(str, others)) == sorted(map(str, ROWS))


def test_rows_are_there_before_an_unbounded_run_ends(tmp_path: Path) -> None:
    """The second arrival brings a line for what the first one left in the file."""

    def with_lines_so_far(number: int) -> Row:
        path = tmp_path / "history.jsonl"
        return {"n": number, "lines": len(path.read_bytes().splitlines()) if path.exists() else 0}

    script = Script().add_elements([0, 1]).add_elements([2]).advance_watermark_to_infinity()
    with BeamPipeline(runner=LOCAL_RUNNER, options=PipelineOptions(["--streaming"])) as pipeline:
        rows = pipeline | script.with_output_types(int) | beam.Map(with_lines_so_far).with_output_types(Row)
        _ = rows | WriteJsonLines(str(tmp_path / "history"), None)
    found = rows_in(tmp_path / "history.jsonl")
    assert sorted((row["n"], row["lines"]) for row in found) == [(0, 0), (1, 0), (2, 2)]


def test_an_unbounded_run_without_rows_makes_no_file(tmp_path: Path) -> None:
    write(tmp_path / "dead", [], None)
    assert names_in(tmp_path) == set()


def play_bundle(append: _AppendFn, *lines: bytes, finishes: bool = True) -> None:
    append.start_bundle()
    for line in lines:
        assert list(append.process(line)) == []
    if finishes:
        append.finish_bundle()


def test_a_bundle_is_written_when_it_finishes_and_in_its_order(tmp_path: Path) -> None:
    append = _AppendFn(str(tmp_path / "history.jsonl"))
    play_bundle(append, b"1", b"2", finishes=False)
    assert names_in(tmp_path) == set()
    append.finish_bundle()
    play_bundle(append)
    play_bundle(append, b"3")
    assert (tmp_path / "history.jsonl").read_bytes() == b"1\n2\n3\n"


def test_a_bundle_that_failed_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    append = _AppendFn(str(tmp_path / "history.jsonl"))
    play_bundle(append, b"1", b"2", finishes=False)
    play_bundle(append, b"1", b"2", b"3")
    assert (tmp_path / "history.jsonl").read_bytes() == b"1\n2\n3\n"


def test_a_bundle_that_is_retried_after_it_was_written_repeats_whole_lines(tmp_path: Path) -> None:
    for _ in range(2):
        play_bundle(_AppendFn(str(tmp_path / "history.jsonl")), b"1", b"2")
    assert (tmp_path / "history.jsonl").read_bytes() == b"1\n2\n" * 2


def test_a_full_disk_fails_the_bundle_and_its_retry_is_whole(tmp_path: Path) -> None:
    append = _AppendFn(str(tmp_path / "history.jsonl"))
    play_bundle(append, b"{}")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # as on a full disk, a part is written
    try:
        with pytest.raises(OSError, match="File too large"):
            play_bundle(append, b'{"n":1}', b'{"n":2}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "history.jsonl").read_bytes() == b"{}\n"
    play_bundle(append, b'{"n":1}', b'{"n":2}')
    assert rows_in(tmp_path / "history.jsonl") == [{}, {"n": 1}, {"n": 2}]


def test_a_file_that_cannot_be_written_fails_the_bundle(tmp_path: Path) -> None:
    append = _AppendFn(str(tmp_path / "nowhere" / "history.jsonl"))
    with pytest.raises(FileNotFoundError):
        play_bundle(append, b"1")
