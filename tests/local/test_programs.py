"""Programs under supervisord: they start in order, stop in reverse order, and never outlive this process."""

import functools
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from local.programs import Program, ProgramError, Programs
from tests.waiting import HANGS_AFTER_SECONDS, until

SAYS_WHEN_IT_ENDS = (
    "import signal, sys, time\n"
    "def end(*_):\n"
    "    open(sys.argv[1], 'a').write(sys.argv[2] + ' ')\n"
    "    sys.exit()\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "print('ready', flush=True)\n"
    "time.sleep(1000)\n"
)
ASKS_AGAIN = (
    "import os, signal, sys, time; again = lambda *_: os.kill(int(sys.argv[2]), signal.SIGALRM);"
    "signal.signal(signal.SIGTERM, again); print('ready', flush=True); time.sleep(1000)"
)
"""Does not end at SIGTERM, but sends SIGALRM to the given process."""
STARTS_SLOWLY = (
    "import os; from supervisor.options import ServerOptions; fork = ServerOptions.fork\n"
    "def fork_and_let_it_end(self):\n"
    "    pid = fork(self)\n"
    "    if pid: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
    "    return pid\n"
    "ServerOptions.fork = fork_and_let_it_end\n"
)
"""Makes a supervisord go on only when the program that it starts has ended."""


def _says_ready(programs: Programs, name: str) -> bool:
    return "ready" in programs.log(name).read_text()


def watch(programs: Programs) -> NoReturn:
    """Looks until one has ended."""
    while True:
        programs.check()
        time.sleep(0.01)


class Started:
    """Programs that were started, and their processes."""

    def __init__(self, programs: Programs, *names: str) -> None:
        for name in names:
            programs.start(name, functools.partial(_says_ready, programs, name))
        assert programs._supervisord is not None
        self.supervisord = psutil.Process(programs._supervisord.pid)
        self.processes = {
            name: next(child for child in self.supervisord.children() if name in child.cmdline())
            for name in names
        }

    def none_is_left(self) -> bool:
        _, alive = psutil.wait_procs([self.supervisord, *self.processes.values()], HANGS_AFTER_SECONDS)
        return not alive


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to start, to end and to bury programs."""
    for limit in ("_STOP_SECONDS", "_KILL_SECONDS"):
        monkeypatch.setattr(f"local.programs.{limit}", HANGS_AFTER_SECONDS)


@pytest.fixture
def ends(tmp_path: Path) -> Path:
    """A file into which programs write their names when they end."""
    return tmp_path / "ends"


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A program that writes its name into a file when it is asked to end."""
    path = tmp_path / "program.py"
    path.write_text(SAYS_WHEN_IT_ENDS)
    return str(path)


@pytest.fixture
def programs(tmp_path: Path, ends: Path, script: str) -> Programs:
    """Two programs, `first` and `second`, and a third that ends at once."""
    return Programs(
        [
            Program("first", [sys.executable, script, str(ends), "first"]),
            Program("second", [sys.executable, script, str(ends), "second"]),
            Program("brief", ["/bin/sh", "-c", "echo 100% ready; exit $STATUS"], may_end=True),
        ],
        tmp_path / "logs",
        {"STATUS": "0"},
    )


def test_are_stopped_in_reverse_each_when_the_one_before_has_ended(programs: Programs, ends: Path) -> None:
    with programs:
        started = Started(programs, "first", "second")
        programs.check()
    assert ends.read_text() == "second first "
    assert started.none_is_left()


def test_one_that_ended_is_named_with_the_end_of_its_log(programs: Programs) -> None:
    with pytest.raises(ProgramError, match=r"^first ended: ready \(.*/logs/first.log\)$"):
        with programs:
            started = Started(programs, "first", "second")
            started.processes["first"].kill()
            watch(programs)
    assert started.none_is_left()


def test_one_may_end_if_nothing_is_wrong(programs: Programs) -> None:
    with programs:
        programs.start("brief", lambda: programs.has_ended("brief"))
        programs.check()
        assert programs.log_tail("brief").startswith("100% ready")


def test_one_that_may_end_must_end_well(tmp_path: Path) -> None:
    brief = Program("brief", ["/bin/sh", "-c", "echo no such log; exit 3"], may_end=True)
    with pytest.raises(ProgramError, match="^brief ended: no such log"):
        with Programs([brief], tmp_path, {}) as programs:
            programs.start("brief", lambda: False)


def test_one_that_ended_before_supervisord_looked_is_named_with_its_log(tmp_path: Path) -> None:
    """On a busy machine supervisord can find that a program has ended while it still starts it."""
    (tmp_path / "sitecustomize.py").write_text(STARTS_SLOWLY)
    brief = Program("brief", ["/bin/sh", "-c", "echo no such log; exit 3"])
    with pytest.raises(ProgramError, match="^brief ended: no such log"):
        with Programs([brief], tmp_path, {"PYTHONPATH": str(tmp_path)}) as programs:
            programs.start("brief", lambda: False)


def test_one_that_does_not_become_ready_is_named(programs: Programs, ends: Path) -> None:
    with pytest.raises(ProgramError, match="^first is not ready after 0.1 s: "):
        with programs:
            programs.start("first", lambda: False, ready_seconds=0.1)


def test_one_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="^absent "):
        with Programs([Program("absent", ["/no/such/program"])], tmp_path, {}) as programs:
            programs.start("absent", lambda: False)


def test_ends_all_when_supervisord_is_killed(programs: Programs) -> None:
    with pytest.raises(ProgramError, match="^supervisord ended"):
        with programs:
            started = Started(programs, "first", "second")
            programs.check()
            started.supervisord.kill()
            watch(programs)
    assert started.none_is_left()


def test_no_patience_when_asked_again(tmp_path: Path) -> None:
    """Stopping is interrupted, as by a second Ctrl-C, while a program does not end."""
    command = [sys.executable, "-c", ASKS_AGAIN, "stubborn", str(os.getpid())]
    stubborn = Programs([Program("stubborn", command)], tmp_path, {})
    with pytest.raises(KeyboardInterrupt):
        with stubborn:
            started = Started(stubborn, "stubborn")
            before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, before)
    assert started.none_is_left()


def test_no_patience_when_it_is_urgent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASKS_AGAIN, "stubborn", str(os.getpid())]
    asked: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: asked.append(number))
    with Programs([Program("stubborn", command)], tmp_path, {}) as stubborn:
        started = Started(stubborn, "stubborn")
        stubborn.stop(lambda: bool(asked))
        assert started.none_is_left()
    signal.signal(signal.SIGALRM, before)


def test_one_can_end_before_the_others(programs: Programs, ends: Path) -> None:
    with programs:
        Started(programs, "first", "second")
        programs.end("first")
        assert ends.read_text() == "first "
        programs.end("first")
        programs.end("brief")
    assert ends.read_text() == "first second "


def test_end_in_order_when_supervisord_was_told_so_by_others(programs: Programs, ends: Path) -> None:
    with programs:
        started = Started(programs, "first", "second")
        started.supervisord.terminate()
    assert ends.read_text() == "second first "
    assert started.none_is_left()


@pytest.mark.parametrize("disturbed", [False, True], ids=["alone", "after a signal to all"])
def test_end_with_the_process_that_started_them_however_that_ends(
    tmp_path: Path, ends: Path, script: str, disturbed: bool
) -> None:
    parent_script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from local.programs import Program, Programs\n"
        "program = Program('first', [sys.executable, sys.argv[1], sys.argv[2], 'first'])\n"
        "with Programs([program], Path(sys.argv[3]), {}) as programs:\n"
        "    print(programs._directory, flush=True)\n"
        "    programs.start('first', lambda: 'ready' in programs.log('first').read_text())\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(1000)\n"
    )
    argv = [sys.executable, "-c", parent_script, script, str(ends), str(tmp_path / "logs")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=os.getcwd()) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().decode().strip())
        assert parent.stdout.readline() == b"ready\n"
        assert folder.is_dir()
        left = psutil.Process(parent.pid).children(recursive=True)
        for watchdog in (child for child in left if child.cmdline()[0] == "/bin/sh" and disturbed):
            watchdog.send_signal(signal.SIGHUP)
            watchdog.send_signal(signal.SIGTERM)
        parent.kill()
    _, alive = psutil.wait_procs(left, HANGS_AFTER_SECONDS)
    assert not alive
    assert ends.read_text() == "first "
    until(lambda: not folder.exists(), "end of the temporary folder")


def test_their_logs_are_for_their_owner_only(programs: Programs, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with programs:
            Started(programs, "first")
            assert stat.S_IMODE(Path(programs._directory).stat().st_mode) == 0o700
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "logs").iterdir()}
    assert modes == {"first.log": 0o600, "supervisord.log": 0o600}
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
