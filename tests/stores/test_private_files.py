"""Files that hold data of users are for their owner only, whatever the umask."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.json_lines import append_lines
from stores.private_files import make_private_folder, open_private, replace_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    append_lines(tmp_path / "appended", [b"{}"])
    replace_private(tmp_path / "replaced", b"1")
    assert (mode_of(tmp_path / "appended"), mode_of(tmp_path / "replaced")) == (0o600, 0o600)


@pytest.mark.parametrize(
    ("before", "after"), [(0o666, 0o600), (0o644, 0o600), (0o600, 0o600), (0o764, 0o700)]
)
def test_a_file_of_a_former_run_becomes_so(tmp_path: Path, before: int, after: int) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"{}\n")
    path.chmod(before)
    append_lines(path, [b"{}"])
    assert mode_of(path) == after


def test_a_file_of_another_user_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.jsonl"
    path.touch(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    os.close(open_private(path, os.O_WRONLY))
    assert mode_of(path) == 0o666


def test_what_is_no_file_keeps_its_mode() -> None:
    before = mode_of(Path("/dev/null"))
    os.close(open_private("/dev/null", os.O_WRONLY))
    assert mode_of(Path("/dev/null")) == before


def test_new_folders_are_for_their_owner_only_and_old_ones_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(0o755)
    make_private_folder(tmp_path / "old" / "new" / "newer")
    make_private_folder(tmp_path / "old")
    modes = [mode_of(tmp_path / name) for name in ("old", "old/new", "old/new/newer")]
    assert modes == [0o755, 0o700, 0o700]


def test_a_folder_below_a_file_or_in_place_of_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "file" / "folder")
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")


def test_a_replacement_that_cannot_be_written_leaves_the_old_content_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    replace_private(path, b"old")
    with pytest.raises(TypeError):
        replace_private(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    (tmp_path / "status.json.new").unlink(missing_ok=True)
    (tmp_path / "status.json.new").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        replace_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]
