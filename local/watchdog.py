"""Ends a program when the one that started it has ended, however that ends."""

import subprocess
from typing import Literal


def start_watchdog(pid: int, signal: Literal["KILL", "TERM"] = "KILL") -> subprocess.Popen[bytes]:
    """Starts what signals a child of this process when this process has ended: the pipe between them is closed then.

    A child whose end was not waited for keeps its pid, so that no other process is meant. Kill the watchdog before
    waiting for the child.
    """
    script = f'read -r line; kill -{signal} "$0"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt from the keyboard is not for it
    )
