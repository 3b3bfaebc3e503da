"""A file of lines has whole lines only: all lines of a call or none, on a full disk and after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stores.json_lines import append_lines
from tests.waiting import until

FULL_AFTER_BYTES = 1000
FILLS_A_DISK = (
    "import resource, sys\n"
    "from stores.json_lines import append_lines\n"
    "limit = int(sys.argv[2])\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
    "append_lines(sys.argv[1], [b'{\"n\":%d}' % number for number in range(1000)])\n"
)
"""Writes more than a file may have: as on a full disk, a part is written, and then no more."""
IS_KILLED_WHILE_IT_WRITES = (
    "import os, signal, sys\n"
    "from stores.json_lines import append_lines\n"
    "write = os.write\n"
    "def write_a_part(descriptor, content):\n"
    "    write(descriptor, content[:int(sys.argv[2])])\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "os.write = write_a_part\n"
    "append_lines(sys.argv[1], [b'{\"n\":1}', b'{\"n\":2}'])\n"
)
APPENDS_MANY = (
    "import sys\n"
    "from stores.json_lines import append_lines\n"
    "sys.stdin.read()\n"
    "for number in range(50):\n"
    '    append_lines(sys.argv[1], [b\'{"by":%s,"n":%d}\' % (sys.argv[2].encode(), number)] * 100)\n'
)


def python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(argv, cwd=os.getcwd(), capture_output=True, text=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


def test_lines_are_appended(path: Path) -> None:
    append_lines(path, [b'{"n":1}', b'{"n":2}'])
    append_lines(path, [b'{"n":3}'])
    assert path.read_bytes() == b'{"n":1}\n{"n":2}\n{"n":3}\n'


def test_a_full_disk_leaves_the_file_as_it_was_and_the_next_row_is_whole(path: Path) -> None:
    append_lines(path, [b'{"n":"before"}'])
    ended = python(FILLS_A_DISK, path, FULL_AFTER_BYTES)
    assert f"OSError: [Errno 27] File too large: '{path}'" in ended.stderr
    assert path.read_bytes() == b'{"n":"before"}\n'
    append_lines(path, [b'{"n":"after"}'])
    assert path.read_bytes() == b'{"n":"before"}\n{"n":"after"}\n'


def test_an_interrupted_write_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_lines(path, [b'{"n":1}'])
    write = os.write

    def write_a_part(descriptor: int, content: memoryview) -> int:
        write(descriptor, content[:10])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "write", write_a_part)
        append_lines(path, [b'{"n":2}', b'{"n":3}'])
    assert path.read_bytes() == b'{"n":1}\n'


def test_a_write_that_takes_a_part_is_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    append_lines(path, [b'{"n":2}', b'{"n":3}'])
    assert path.read_bytes() == b'{"n":2}\n{"n":3}\n'


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (0, b""),
        (3, b""),
        (7, b'{"n":1}\n'),
        (8, b'{"n":1}\n'),
        (9, b'{"n":1}\n'),
        (16, b'{"n":1}\n{"n":2}\n'),
    ],
)
def test_a_killed_process_leaves_whole_lines_as_soon_as_the_next_writes(
    path: Path, caplog: pytest.LogCaptureFixture, written: int, kept: bytes
) -> None:
    append_lines(path, [b'{"n":0}'])
    ended = python(IS_KILLED_WHILE_IT_WRITES, path, written)
    assert ended.returncode == -signal.SIGKILL
    assert len(path.read_bytes()) == 8 + written
    append_lines(path, [b'{"n":9}'])
    assert path.read_bytes() == b'{"n":0}\n' + kept + b'{"n":9}\n'
    cut = 8 + written + 8 - len(path.read_bytes())
    expected = f"{path}: a half line of {cut} bytes, which a killed process left, was cut"
    assert caplog.messages == ([expected] if cut > 0 else [])


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("before", [b"", b'{"n":0}\n'])
def test_a_long_half_line_is_cut_whole(path: Path, before: bytes, size: int) -> None:
    path.write_bytes(before + b"{" * size)
    append_lines(path, [b'{"n":1}'])
    assert path.read_bytes() == before + b'{"n":1}\n'


def test_several_processes_append_to_one_file(path: Path) -> None:
    argv = [sys.executable, "-c", APPENDS_MANY, str(path)]
    writers = [
        subprocess.Popen([*argv, str(number)], cwd=os.getcwd(), stdin=subprocess.PIPE) for number in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(rows) == 3 * 50 * 100
    for start in range(0, len(rows), 100):
        assert len({json.dumps(row) for row in rows[start : start + 100]}) == 1, (
            "the lines of a call are together"
        )


def test_another_waits_for_one_that_writes(path: Path) -> None:
    """The first is stopped while it has written half a line; the second must not take that for one of a killed one."""
    script = IS_KILLED_WHILE_IT_WRITES.replace("SIGKILL", "SIGSTOP").replace(
        "SIGSTOP)\n", "SIGSTOP)\n    os.write = write\n    return int(sys.argv[2])\n"
    )
    first = subprocess.Popen([sys.executable, "-c", script, str(path), "3"], cwd=os.getcwd())
    os.waitid(os.P_PID, first.pid, os.WSTOPPED)
    argv = [sys.executable, "-c", APPENDS_MANY.replace("range(50)", "range(1)"), str(path), "7"]
    second = subprocess.Popen(argv, cwd=os.getcwd(), stdin=subprocess.DEVNULL)
    locks = Path("/proc/locks")
    if locks.exists():
        until(lambda: f"-> FLOCK  ADVISORY  WRITE {second.pid} " in locks.read_text(), "process that waits")
    assert path.read_bytes() == b'{"n'
    first.send_signal(signal.SIGCONT)
    assert [first.wait(), second.wait()] == [0, 0]
    assert path.read_bytes() == b'{"n":1}\n{"n":2}\n' + b'{"by":7,"n":0}\n' * 100


def test_what_is_no_file_is_written_too() -> None:
    append_lines("/dev/null", [b'{"n":1}'])
    with pytest.raises(OSError, match="No space left"):
        append_lines("/dev/full", [b'{"n":1}'])
