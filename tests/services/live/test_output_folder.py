"""One live system has its output folder for itself, and deletes nothing there that is not its own."""

from pathlib import Path

import pytest

from services.live.output_folder import FolderError, OutputFolder


def test_a_second_system_is_refused_until_the_first_one_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "live"
    with OutputFolder(path, []):
        with pytest.raises(FolderError, match=f"the folder {path} is in use by another live system"):
            OutputFolder(path, []).__enter__()
    with OutputFolder(path, []):
        pass


def test_clears_what_an_earlier_system_wrote_and_nothing_else(tmp_path: Path) -> None:
    for name in ("history.jsonl", "dead-letters.jsonl", "status.json", "job.log", "diary.txt", "other.log"):
        (tmp_path / name).write_text("kept?")
    with OutputFolder(tmp_path, ["job", "redis"]) as folder:
        folder.clear()
    assert {path.name for path in tmp_path.iterdir()} == {"diary.txt", "other.log"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="cannot be used"):
        OutputFolder(tmp_path / "file", []).__enter__()
