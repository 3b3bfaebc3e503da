"""Folders of unfinished files: those of killed processes go, those of living ones stay."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stores.draft_folders import make_draft_folder, remove_abandoned_folders, remove_draft_folders

DRAFTS = re.compile(r"draft-\d+(-\w)?")
MAKES_ONE = (
    "import sys\n"
    "from stores.draft_folders import make_draft_folder\n"
    "make_draft_folder(sys.argv[1])\n"
    "open(sys.argv[1] + '/part', 'w').close()\n"
    "print('made', flush=True)\n"
    "sys.stdin.read()\n"
)


def left(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_folder_without_a_living_process_is_removed_with_what_is_in_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", MAKES_ONE, str(tmp_path / "draft-1")]
    with subprocess.Popen(argv, cwd=os.getcwd(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"made\n"
        remove_abandoned_folders(str(tmp_path), DRAFTS)
        assert left(tmp_path) == {"draft-1"}
        process.kill()
    assert left(tmp_path / "draft-1") == {"part"}
    remove_abandoned_folders(str(tmp_path), DRAFTS)
    assert left(tmp_path) == set()


def test_only_folders_of_these_names_are_removed(tmp_path: Path) -> None:
    for name in ("draft-1", "drafts", "draft-mine", "my-draft-1", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "draft-2").touch()
    (tmp_path / "draft-3").symlink_to("other")
    remove_abandoned_folders(str(tmp_path), DRAFTS)
    assert left(tmp_path) == {"drafts", "draft-mine", "my-draft-1", "other", "draft-2", "draft-3"}


def test_ones_own_are_removed_although_they_are_locked(tmp_path: Path) -> None:
    for name in ("draft-1-a", "draft-1-b", "draft-2-a"):
        make_draft_folder(str(tmp_path / name))
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    remove_abandoned_folders(str(tmp_path), DRAFTS)
    assert len(left(tmp_path)) == 3
    remove_draft_folders(str(tmp_path), re.compile("draft-1-."))
    assert left(tmp_path) == {"draft-2-a"}


def test_a_removed_folder_costs_no_descriptor(tmp_path: Path) -> None:
    descriptors = Path("/dev/fd")
    make_draft_folder(str(tmp_path / "draft-0"))
    before = len(list(descriptors.iterdir()))
    for number in range(1, 20):
        remove_draft_folders(str(tmp_path), DRAFTS)
        make_draft_folder(str(tmp_path / f"draft-{number}"))
    assert len(list(descriptors.iterdir())) == before
    remove_draft_folders(str(tmp_path), DRAFTS)


def test_one_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process found it without a lock."""
    path, mkdir, made = str(tmp_path / "draft"), os.mkdir, []

    def mkdir_and_be_found(name: str, mode: int) -> None:
        mkdir(name, mode)
        made.append(name)
        if len(made) == 1:
            remove_abandoned_folders(str(tmp_path), re.compile("draft"))

    monkeypatch.setattr(os, "mkdir", mkdir_and_be_found)
    make_draft_folder(path)
    assert made == [path, path]
    remove_abandoned_folders(str(tmp_path), re.compile("draft"))
    assert left(tmp_path) == {"draft"}


def test_a_folder_that_does_not_exist_has_none(tmp_path: Path) -> None:
    remove_abandoned_folders(str(tmp_path / "absent"), DRAFTS)
    remove_draft_folders(str(tmp_path / "absent"), DRAFTS)
