"""The live system replaces its own files in its output folder, and no other file."""

from pathlib import Path

import pytest

from local.own_folder import MARKER, FolderError
from services.live import output_folder as module
from services.live.output_folder import PROGRAMS, output_folder
from services.live.system import LiveFiles, LivePorts, LiveSystem

WRITTEN = {"history.jsonl", "dead-letters.jsonl", "status.json", "status.json.new"} | {
    f"{name}.log" for name in ("emulator", "redis", "job", "collector", "replay", "supervisord")
}


def test_deletes_what_an_earlier_system_wrote_and_nothing_else(tmp_path: Path) -> None:
    with output_folder(tmp_path):
        pass
    for name in (*WRITTEN, "diary.txt", "other.log", "history.jsonl.bak", "segments.yaml"):
        (tmp_path / name).write_text("kept?")
    with output_folder(tmp_path) as folder:
        folder.delete(folder.results())
    assert {path.name for path in tmp_path.iterdir()} - {MARKER} == {
        "diary.txt",
        "other.log",
        "history.jsonl.bak",
        "segments.yaml",
    }


def test_only_the_default_folder_of_an_earlier_version_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEFAULT_OUTPUT", tmp_path / "default")
    for path in (tmp_path / "default", tmp_path / "other"):
        path.mkdir()
        for name in WRITTEN:
            (path / name).touch()
    with output_folder(tmp_path / "default") as folder:
        assert set(folder.results()) == WRITTEN
    with pytest.raises(FolderError):
        output_folder(tmp_path / "other").__enter__()


def test_the_log_of_each_program_is_a_result(tmp_path: Path) -> None:
    files = LiveFiles(segments=tmp_path, tracking_plan=tmp_path, settings=tmp_path, output=tmp_path / "out")
    system = LiveSystem(files, LivePorts(1, 2, 3), log_replay=["views"])
    with system.folder as folder:
        for name in system.programs._programs:
            system.programs.log(name).touch()
        assert set(folder.results()) == {f"{name}.log" for name in PROGRAMS}
