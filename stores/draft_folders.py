"""Folders for files that are not finished yet, which a killed process leaves behind and the next one removes.

A process locks the folders that it makes. The lock ends with the process, however that ends, so a folder without a lock
is abandoned.
"""

import contextlib
import fcntl
import os
import re
import shutil
import threading

from stores.private_files import PRIVATE_FOLDER

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_held: dict[str, int] = {}
"""The descriptors that hold this process's locks, by folder."""
_held_lock = threading.Lock()


def make_draft_folder(path: str) -> None:
    """Makes a folder for its owner only, and locks it until it is removed or this process ends.

    Raises:
      OSError: the folder cannot be made; the one above it must exist.
    """
    with _held_lock:
        for folder in [folder for folder in _held if not os.path.isdir(folder)]:
            os.close(_held.pop(folder))
        while path not in _held:  # once more if another process removed it before it was locked
            os.mkdir(path, PRIVATE_FOLDER)
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, _OPEN)
                with contextlib.suppress(
                    OSError
                ):  # without locks, such as on some network disks, none is abandoned
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if _is_at(path, descriptor):
                    _held[path] = descriptor
                else:
                    os.close(descriptor)


def remove_draft_folders(folder: str, names: re.Pattern[str]) -> None:
    """Removes the folders in a folder whose names match, with all that is in them. A link to a folder is none."""
    for path in _folders(folder, names):
        shutil.rmtree(path, ignore_errors=True)


def remove_abandoned_folders(folder: str, names: re.Pattern[str]) -> None:
    """Removes those of these folders that no living process has locked.

    Args:
      folder: where they are.
      names: what the whole names look like of folders that this project makes, so that nobody else's is removed.
    """
    for path in _folders(folder, names):
        try:
            descriptor = os.open(path, _OPEN)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except OSError:  # another process has it
            continue
        finally:
            os.close(descriptor)


def _folders(folder: str, names: re.Pattern[str]) -> list[str]:
    try:
        return [
            entry.path
            for entry in os.scandir(folder)
            if names.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    except OSError:  # there is no such folder, so there is nothing in it
        return []


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
