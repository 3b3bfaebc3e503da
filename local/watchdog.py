"""Ends a program when the process that started it has ended, even if that process was killed."""

import subprocess
from typing import Literal


def start_watchdog(pid: int, signal: Literal["KILL", "TERM"] = "KILL") -> subprocess.Popen[bytes]:
    """Starts a watchdog that signals a child of this process when this process has ended.

    The watchdog notices the end because the pipe from this process closes. A child that ended keeps its process id
    until it is waited for. Kill the watchdog before that, so that it cannot signal another process.
    """
    script = f'read -r line; kill -{signal} "$0"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that Ctrl-C does not reach it
    )
