"""A child process ends with this one, and with it what it started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.process import Child
from tests.waiting import HANGS_AFTER_SECONDS, until

DEAF = "trap 'kill -s ALRM $PPID' TERM; echo ready; while :; do sleep 0.1; done"
"""A script that does not end at SIGTERM, but sends SIGALRM to this process, and runs other programs."""
STARTS_IT = (
    "import sys\n"
    "from pathlib import Path\n"
    "from local.process import Child\n"
    "child = Child(['/bin/sh', '-c', sys.argv[1]], Path(sys.argv[2]))\n"
    "print(child.pid, flush=True)\n"
    "sys.stdin.read()\n"
)


def test_what_a_program_started_ends_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = [sys.executable, "-c", STARTS_IT, "sleep 1000 & echo $!; wait", str(log)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()), int(until(log.read_text, "process id of sleep"))]
        processes = [psutil.Process(pid) for pid in pids]
        parent.kill()
    _, alive = psutil.wait_procs(processes, HANGS_AFTER_SECONDS)
    assert not alive


def test_an_interrupted_stop_can_be_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(["/bin/sh", "-c", DEAF], log)
    until(log.read_text, "sign of readiness")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        child.stop()
    signal.signal(signal.SIGALRM, before)
    assert child.runs
    assert child._watchdog.poll() is None, "it still ends with this process"
    child.kill()
    assert not child.runs
