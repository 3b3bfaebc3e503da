"""What a bounded run leaves on the disk when it ends early: nothing, or what the next run removes."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.events import payload

# `print` would hold a lock while this thread waits for Python's own, and Python aborts if it ends at that moment
WAITS_IN_ITS_FIRST_ROW = (
    "import os, sys, threading\n"
    "from transforms import write_json_lines\n"
    "def wait(*arguments):\n"
    "    os.write(1, b'writing\\n')\n"
    "    threading.Event().wait()\n"
    "write_json_lines._PrivateTextSink.write_encoded_record = wait\n"
    "from commands.cli import main\n"
    "sys.exit(main(['run', *sys.argv[1:]]))\n"
)
RUNS = "import sys; from commands.cli import main; sys.exit(main(['run', *sys.argv[1:]]))"
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder for temporary files of programs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, temporary: Path, redis_url: str) -> Iterator[Start]:
    """Starts a run, whose umask lets others read, of a program."""
    rules = "version: 1\nsegments:\n  buyer:\n    when: {event: Order Completed, within: 1h}\n"
    (tmp_path / "segments.yaml").write_text(rules)
    (tmp_path / "log.jsonl").write_bytes(payload(0, "Order Completed") + b"\n{}\n")
    flags = [
        f"--events={tmp_path}/log.jsonl",
        f"--segments={tmp_path}/segments.yaml",
        f"--redis_url={redis_url}",
        f"--history_path={tmp_path}/out/history",
        f"--dead_letter_path={tmp_path}/out/dead",
    ]
    with contextlib.ExitStack() as stack:

        def start(program: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-c", program, *flags],
                cwd=os.getcwd(),
                env={**os.environ, "TMPDIR": str(temporary)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                umask=0,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def await_first_row(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"


def kinds_in(folder: Path) -> list[str]:
    return sorted(entry.name.rpartition("/")[2].split("-1")[0] for entry in folder.iterdir())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(
    start: Start, tmp_path: Path, temporary: Path, number: signal.Signals, status: int
) -> None:
    run = start(WAITS_IN_ITS_FIRST_ROW)
    await_first_row(run)
    assert set(kinds_in(tmp_path / "out")) <= {"beam-temp-history", "beam-temp-dead"}
    run.send_signal(number)
    assert run.stderr is not None
    shown = run.stderr.read()
    assert b"Traceback" not in shown
    assert run.wait() == status, shown
    assert kinds_in(tmp_path / "out") == []
    assert kinds_in(temporary) == []


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_of_a_living_one(
    start: Start, tmp_path: Path, temporary: Path
) -> None:
    killed, living = start(WAITS_IN_ITS_FIRST_ROW), start(WAITS_IN_ITS_FIRST_ROW)
    await_first_row(killed)
    await_first_row(living)
    killed.kill()
    killed.wait()
    assert len(list((tmp_path / "out").iterdir())) > 2
    assert not list((tmp_path / "out").glob("*.jsonl"))
    before = start(RUNS)
    before.communicate()
    assert before.returncode == 0
    folders = list((tmp_path / "out").glob("beam-temp-*"))
    assert folders, "those of the living run"
    assert sorted(kinds_in(tmp_path / "out"))[-2:] == ["dead", "history"]
    living.kill()
    living.wait()
    after = start(RUNS)
    after.communicate()
    assert after.returncode == 0
    assert kinds_in(tmp_path / "out") == ["dead", "dead", "history", "history"]
    assert kinds_in(temporary) == []


def test_what_a_run_writes_is_for_its_owner_only_from_the_start(start: Start, tmp_path: Path) -> None:
    run = start(WAITS_IN_ITS_FIRST_ROW)
    await_first_row(run)
    early = modes(tmp_path / "out")
    run.kill()
    run.wait()
    start(RUNS).communicate()
    late = modes(tmp_path / "out")
    assert {kind for kind, _ in early} == {"folder", "file"}
    assert {*early, *late} == {("folder", 0o700), ("file", 0o600)}
    assert len(late) == 3


def modes(folder: Path) -> list[tuple[str, int]]:
    paths = [folder, *folder.rglob("*")]
    return [("folder" if path.is_dir() else "file", stat.S_IMODE(path.stat().st_mode)) for path in paths]
