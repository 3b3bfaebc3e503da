"""A command has its output folder for itself, and deletes nothing there that is not its own."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from local.own_folder import MARKER, FolderError, OwnFolder

RESULTS = re.compile(r"history\.jsonl|job\.log")
TEMPORARY = re.compile(r"temp-\d+")


def own(
    path: Path, command: str = "make live", is_default: bool = False, inputs: Iterable[Path] = ()
) -> OwnFolder:
    return OwnFolder(path, command, RESULTS, TEMPORARY, is_default=is_default, inputs=inputs)


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def run(
    path: Path, command: str = "make live", is_default: bool = False, inputs: Iterable[Path] = ()
) -> None:
    """Does what a command does: deletes its former results and writes new ones."""
    with own(path, command, is_default, inputs) as folder:
        folder.delete(folder.results())
        (path / "history.jsonl").write_text(command)


def refusal(path: Path, **options: object) -> str:
    """Returns why a folder is refused, and checks that nothing in it was changed."""
    before = {entry.name: os.lstat(entry) for entry in path.iterdir()}
    with pytest.raises(FolderError) as refused:
        run(path, **options)  # type: ignore[arg-type]
    assert {entry.name: os.lstat(entry) for entry in path.iterdir()} == before
    return str(refused.value).replace(str(path), "FOLDER")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_new_or_empty_folder_is_taken_and_known_again(is_there: bool, tmp_path: Path) -> None:
    path = tmp_path / "a" / "live"
    if is_there:
        path.mkdir(parents=True)
    run(path)
    assert names(path) == {MARKER, "history.jsonl"}
    assert "make live" in (path / MARKER).read_text().splitlines()[0]
    (path / "rules.yaml").write_text("the user's")
    (path / "old.log").write_text("the user's")
    (path / "job.log").write_text("ours")
    run(path)
    assert names(path) == {MARKER, "history.jsonl", "rules.yaml", "old.log"}


@pytest.mark.parametrize("name", ["history.jsonl", "rules.yaml", ".git", f"{MARKER}x"])
def test_a_folder_with_files_of_others_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("the user's")
    assert refusal(tmp_path) == f"the folder FOLDER has files that make live did not write ({name})"


def test_names_a_hostile_file_visibly(tmp_path: Path) -> None:
    (tmp_path / "a\x1b\n").touch()
    assert refusal(tmp_path).endswith(r"(a\x1b\n)")


def test_the_default_folder_of_an_earlier_version_is_taken_if_it_has_only_results(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("former")
    (tmp_path / "temp-1").mkdir()
    (tmp_path / "temp-1" / "part").touch()
    run(tmp_path, is_default=True)
    assert names(tmp_path) == {MARKER, "history.jsonl", "temp-1"}


def test_the_default_folder_is_refused_if_it_has_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("former")
    (tmp_path / "diary.txt").write_text("the user's")
    assert "did not write (diary.txt)" in refusal(tmp_path, is_default=True)


def test_another_commands_folder_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "make run")
    said = refusal(tmp_path)
    assert said == "the folder FOLDER belongs to another command (output folder of make run, format 1)"


def test_a_mark_of_another_user_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert refusal(tmp_path) == "the folder FOLDER belongs to another user"


def test_a_folder_that_another_user_made_in_a_place_for_all_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "live").mkdir()
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert refusal(tmp_path / "live") == "the folder FOLDER belongs to another user"


@pytest.mark.parametrize("target", ["file", "nothing"])
def test_a_mark_that_is_a_link_is_refused(target: str, tmp_path: Path) -> None:
    run(tmp_path / "true")
    (tmp_path / "file").write_bytes((tmp_path / "true" / MARKER).read_bytes())
    path = tmp_path / "false"
    path.mkdir()
    (path / "history.jsonl").write_text("the user's")
    (path / MARKER).symlink_to(tmp_path / target)
    assert "cannot be used" in refusal(path)


def test_a_mark_that_is_a_pipe_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MARKER)
    assert refusal(tmp_path) == "the folder FOLDER belongs to another command ()"


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_a_result_that_is_no_regular_file_is_refused(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "live", tmp_path / "other"
    run(path)
    other.write_text("the user's")
    (path / "job.log").unlink(missing_ok=True)
    match kind:
        case "link":
            (path / "job.log").symlink_to(other)
        case "dangling":
            (path / "job.log").symlink_to(tmp_path / "nothing")
        case "folder":
            (path / "job.log").mkdir()
        case "pipe":
            os.mkfifo(path / "job.log")
    assert refusal(path) == "FOLDER/job.log is not a regular file, so make live cannot replace it"
    assert other.read_text() == "the user's"


@pytest.mark.parametrize("way", ["itself", "relative", "link", "hard link"])
def test_a_file_that_is_read_is_never_a_result(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live"
    run(path)
    rules = path / "job.log"
    rules.write_text("the user's rules")
    given = rules if way == "itself" else tmp_path / "rules.yaml"
    match way:
        case "relative":
            monkeypatch.chdir(path)
            given = Path("../live/job.log")
        case "link":
            given.symlink_to(rules)
        case "hard link":
            given.hardlink_to(rules)
    said = refusal(path, inputs=[tmp_path / "missing", path, given])
    assert said.endswith("job.log is to be read, but make live writes a file of this name")


def test_a_mark_that_was_interrupted_is_written_again(tmp_path: Path) -> None:
    (tmp_path / f"{MARKER}.new").touch()
    run(tmp_path)
    assert names(tmp_path) == {MARKER, "history.jsonl"}


def test_a_second_command_is_refused_until_the_first_one_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "live"
    with own(path):
        with pytest.raises(FolderError, match=f"the folder {path} is in use by another make live"):
            own(path).__enter__()
    with own(path):
        pass


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_file_is_no_folder(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="cannot be used"):
        own(tmp_path / path).__enter__()


def test_a_refused_folder_is_not_held_open(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").touch()
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        refusal(tmp_path)
    assert len(os.listdir("/dev/fd")) == before
