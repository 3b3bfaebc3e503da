"""A folder for the results of one command, which deletes there what it wrote itself and nothing else."""

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from local.samples import displayed_path
from segmentation.printable import printable

MARKER = ".written-by-live-segments"
"""The file by which a command knows a folder as its own again."""
_DRAFT = f"{MARKER}.new"
_MARKER_TEXT = """\
output folder of {command}, format 1

The next run of {command} with this folder replaces its own files here, and touches no others.
Without this file, it does not use the folder again.
"""


class FolderError(Exception):
    """The folder cannot be used. The message names it."""


class OwnFolder:
    """Takes a folder for a `with` block, alone. The lock ends with this process, even if it is killed.

    A new or empty folder is marked as the command's own. Any other folder needs that mark, so that nobody's files are
    deleted for having the name of a result.

    Args:
      path: the folder, which is created if needed.
      command: the command that writes to it, such as `make live`.
      results: what the names of the command's files look like.
      temporary: what the names of folders look like that an interrupted run leaves; they are nobody else's files.
      is_default: whether it is the command's default folder. Earlier versions wrote there without a mark, so it is
        taken if it has nothing else than results.
      inputs: files and folders that the command reads, of which no result may be one.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        results: re.Pattern[str],
        temporary: re.Pattern[str] = re.compile("(?!)"),
        *,
        is_default: bool = False,
        inputs: Iterable[Path] = (),
    ) -> None:
        self.path = path
        self._shown = printable(displayed_path(path))
        self._command = command
        self._results = results
        self._temporary = temporary
        self._is_default = is_default
        self._inputs = inputs

    def __enter__(self) -> Self:
        """Locks and marks the folder.

        Raises:
          FolderError: another process has it, it is not the command's own, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, self._descriptor)
                self._lock()
                self._check()
                self._mark()
            except OSError as error:
                raise FolderError(f"the folder {self._shown} cannot be used ({error.strerror})") from None
            stack.pop_all()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def results(self) -> list[str]:
        """Returns the names of the command's files in the folder."""
        return sorted(name for name in os.listdir(self._descriptor) if self._is_file(name))

    def delete(self, names: Iterable[str]) -> None:
        """Deletes those of the command's files that have one of these names."""
        for name in names:
            if self._is_file(name):
                os.unlink(name, dir_fd=self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f"the folder {self._shown} is in use by another {self._command}") from None

    def _check(self) -> None:
        """Checks that the folder is the command's own, or can become so."""
        at, parent = os.lstat(self.path), os.stat(self.path.absolute().parent)
        is_for_all = (
            parent.st_mode & stat.S_ISVTX
        )  # such as /tmp: anyone can have put a folder or a link there
        if is_for_all and at.st_uid != os.geteuid():
            raise FolderError(f"the folder {self._shown} belongs to another user")
        names = sorted(set(os.listdir(self._descriptor)) - {_DRAFT})
        known = (self._results, self._temporary)
        others = [name for name in names if not any(form.fullmatch(name) for form in known)]
        if MARKER in names:
            self._check_marker()
        elif names and (others or not self._is_default):
            found = printable((others or names)[0])
            raise FolderError(
                f"the folder {self._shown} has files that {self._command} did not write ({found})"
            )
        for name in filter(self._results.fullmatch, names):
            self._check_result(name)

    def _check_marker(self) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe must not hold this up
        with open(os.open(MARKER, flags, dir_fd=self._descriptor), "rb") as marker:
            first = marker.readline(200).decode(errors="replace").rstrip("\n")
            is_own = os.fstat(marker.fileno()).st_uid == os.geteuid()
        if not is_own:
            raise FolderError(f"the folder {self._shown} belongs to another user")
        if first != self._marker_text.partition("\n")[0]:
            raise FolderError(f"the folder {self._shown} belongs to another command ({printable(first)})")

    def _check_result(self, name: str) -> None:
        """Checks that a result can be replaced: that it is a file, and none that is read."""
        shown = f"{self._shown}/{printable(name)}"
        if not self._is_file(name):
            raise FolderError(f"{shown} is not a regular file, so {self._command} cannot replace it")
        held = os.lstat(name, dir_fd=self._descriptor)
        for path in self._inputs:
            with contextlib.suppress(OSError):  # whoever reads it says what is wrong
                if os.path.samestat(held, os.stat(path)):
                    raise FolderError(
                        f"{shown} is to be read, but {self._command} writes a file of this name"
                    )

    def _mark(self) -> None:
        if MARKER in os.listdir(self._descriptor):
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_DRAFT, dir_fd=self._descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(_DRAFT, flags, 0o600, dir_fd=self._descriptor), "w", encoding="utf-8") as draft:
            draft.write(self._marker_text)
        os.rename(_DRAFT, MARKER, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    @property
    def _marker_text(self) -> str:
        return _MARKER_TEXT.format(command=self._command)

    def _is_file(self, name: str) -> bool:
        """Returns whether a name is that of a result, and of a regular file in the folder; a link is none."""
        try:
            held = os.lstat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        return self._results.fullmatch(name) is not None and stat.S_ISREG(held.st_mode)
