"""Makes files and folders that only their owner can read, whatever the umask: they hold data of users."""

import os
import stat
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
PRIVATE_UMASK = 0o077
"""For programs of others, which choose the modes of their files themselves."""
_OTHERS = 0o077


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """Opens a file, which is created with the mode 0600; returns its descriptor.

    An existing file loses the permissions of its group and of all others, if it belongs to the process's user.

    Args:
      path: the file.
      flags: as of `os.open`; O_CREAT and O_CLOEXEC are added.

    Raises:
      OSError: the file cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS and found.st_uid == os.geteuid():
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def make_private_folder(path: str | os.PathLike[str]) -> None:
    """Makes a folder with the mode 0700, and those above it that are missing. Leaves an existing folder as it is.

    Raises:
      OSError: the folder cannot be made.
    """
    folder = Path(path)
    for above in reversed(folder.parents):
        if not above.exists():
            above.mkdir(PRIVATE_FOLDER, exist_ok=True)
    folder.mkdir(PRIVATE_FOLDER, exist_ok=True)


def replace_private(path: Path, content: bytes) -> None:
    """Replaces a file at once, so that a reader sees the old content or the new one, whole.

    Raises:
      OSError: the content cannot be written; the old one stays.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        with open(open_private(draft, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(content)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
