"""A child process ends with this one, and with it what it started."""

import os
import signal
import stat
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
    "child = Child(['/bin/sh', '-c', sys.argv[1]], Path(sys.argv[2]), temporary=sys.argv[3:])\n"
    "print(child.pid, flush=True)\n"
    "sys.stdin.read()\n"
)
KILLED_AT_ONCE = (
    "import os, signal, subprocess, sys\n"
    "from local.watchdog import start_watchdog\n"
    "class Popen(subprocess.Popen):\n"
    "    def __init__(self, *args, **options):\n"
    "        super().__init__(*args, **options)\n"
    "        os.kill(self.pid, signal.SIGSTOP)\n"
    "        if os.fork() == 0:\n"
    "            os.close(self.stdin.fileno()), os.close(self.stdout.fileno())\n"
    "            parent = os.getppid()\n"
    "            os.kill(parent, signal.SIGKILL)\n"
    "            while os.getppid() == parent: pass\n"
    "            os.kill(self.pid, signal.SIGCONT)\n"
    "            os._exit(0)\n"
    "subprocess.Popen = Popen\n"
    "start_watchdog(int(sys.argv[1]))\n"
)
"""Starts a watchdog that is stopped until this process has been killed."""


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


def test_its_watchdog_ignores_the_signals_of_others_from_the_start(tmp_path: Path) -> None:
    child = Child(["/bin/sleep", "1000"], tmp_path / "log")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        child._watchdog.send_signal(number)
    assert child._watchdog.stdin is not None
    child._watchdog.stdin.close()  # as the end of this process does
    assert child.wait(HANGS_AFTER_SECONDS) == -signal.SIGKILL
    child.kill()


def test_its_watchdog_ends_it_even_if_this_process_was_killed_while_it_started_that(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True) as child:
        parent = subprocess.run([sys.executable, "-c", KILLED_AT_ONCE, str(child.pid)], cwd=os.getcwd())
        assert parent.returncode == -signal.SIGKILL
        assert child.wait(HANGS_AFTER_SECONDS) == -signal.SIGKILL


def test_its_temporary_folders_go_with_a_killed_parent_and_no_others(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "another one; $(touch here)", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        (folder / "socket").touch()
    argv = [sys.executable, "-c", STARTS_IT, "sleep 1000", str(tmp_path / "log"), *map(str, folders[:2])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline())
        parent.kill()
    until(lambda: not folders[0].exists() and not folders[1].exists(), "end of the folders")
    assert (folders[2] / "socket").exists()


def test_its_log_and_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    log, made = tmp_path / "log", tmp_path / "made"
    log.touch(0o666)
    before = os.umask(0)
    try:
        child = Child(["/bin/sh", "-c", f"echo ä > {made}; mkdir {made}s; echo ready; exec sleep 1000"], log)
    finally:
        os.umask(before)
    until(log.read_text, "sign of readiness")
    child.kill()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (log, made, tmp_path / "mades")]
    assert modes == [0o600, 0o600, 0o700]
