"""Ends a program when the process that started it has ended, even if that process was killed."""

import os
import subprocess
from collections.abc import Sequence
from typing import Literal


def start_watchdog(
    pid: int, signal: Literal["KILL", "TERM"] = "KILL", folders: Sequence[str | os.PathLike[str]] = ()
) -> subprocess.Popen[bytes]:
    """Starts a watchdog that signals a child of this process, and its process group, when this process has ended.

    It then removes the folders, which this process can no longer do.
    The child must lead its process group. The watchdog notices the end because the pipe from this process closes; it
    ignores the signals that end this process, because some senders signal everything that they find. A child that
    ended keeps its process id until it is waited for. Kill the watchdog right after that, so that it cannot signal
    another process.
    """
    script = f'trap "" HUP INT TERM PIPE; echo; read -r line; kill -s {signal} -- "-$0"; [ $# = 0 ] || rm -rf -- "$@"'
    watchdog = subprocess.Popen(
        ["/bin/sh", "-c", script, str(pid), *map(os.path.abspath, folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that Ctrl-C does not reach it
    )
    assert watchdog.stdout is not None
    try:
        with watchdog.stdout as armed:
            armed.readline()  # from now on it ignores the signals
    except BaseException:
        watchdog.kill()
        watchdog.communicate()
        raise
    watchdog.stdout = None
    return watchdog
