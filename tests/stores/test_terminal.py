"""What a program prints and logs has no character that a terminal obeys, and a log record is one line."""

import io
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stores.terminal import LogLines, PrintableStream, log_to_stderr, printable_output, terminal_of

ROOT = Path(__file__).parents[2]
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\u2028\ud800\r\nINFO collector: forged"
PROGRAM = """
import argparse, logging, sys, threading, warnings
from stores.terminal import log_to_stderr, printable_output

HOSTILE = "\\x1b]0;owned\\x07\\x9b2J\\u202e\\u2028\\ud800\\xe9\\r"

@printable_output()
def main(end):
    log_to_stderr("%(levelname)s %(message)s")
    print(HOSTILE, "\\u540d")
    print(HOSTILE, file=sys.stderr)
    warnings.warn(HOSTILE)
    thread = threading.Thread(target=lambda: [][HOSTILE])
    thread.start()
    thread.join()
    try:
        raise ValueError("x\\nINFO forged " + HOSTILE)
    except ValueError:
        logging.exception("refused %s", "x\\nINFO forged " + HOSTILE)
    if end == "parse":
        argparse.ArgumentParser(prog="p" + HOSTILE).parse_args([HOSTILE])
    raise ValueError(HOSTILE)

main(sys.argv[1])
"""


@pytest.mark.parametrize("end", ["raise", "parse"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "ascii:surrogateescape"])
def test_every_way_out_of_a_program_is_escaped(end: str, encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, end],
        cwd=ROOT,
        capture_output=True,
        env={"PYTHONIOENCODING": encoding, "PATH": ""},
    )
    for shown in (done.stdout, done.stderr):
        text = shown.decode(encoding.partition(":")[0])
        assert all(character == "\n" or character.isprintable() for character in text), shown
        assert r"\x1b]0;owned\x07\x9b2J\u202e\u2028\ud800" in text
    lines = done.stderr.decode("latin-1").splitlines()
    assert sum(line.startswith("INFO") for line in lines) == 0, lines
    assert sum(line.startswith("ERROR refused x\\nINFO forged") for line in lines) == 1
    assert lines.count("Traceback (most recent call last):") == 2 + (end == "raise")
    assert done.returncode == (1 if end == "raise" else 2)
    assert ("\u540d" in done.stdout.decode(encoding.partition(":")[0])) == (encoding == "utf-8")


MAINS = [
    path
    for package in ("commands", "local", "pipeline", "services", "templates")
    for path in sorted((ROOT / package).rglob("*.py"))
    if re.search(r"^def main\(.*\) -> int:$", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("path", MAINS, ids=[str(path.relative_to(ROOT)) for path in MAINS])
def test_every_program_escapes_what_it_prints(path: Path) -> None:
    assert "@printable_output()\ndef main(" in path.read_text()
    assert len(MAINS) >= 12


def test_the_streams_are_those_of_before_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with printable_output():
        wrapped = sys.stdout
        with printable_output():  # a command calls another one
            assert sys.stdout is wrapped
            print(HOSTILE)
            print("kept", file=sys.stderr)
        assert terminal_of(sys.stdout) is before[0]
    assert (sys.stdout, sys.stderr) == before
    assert terminal_of(sys.stdout) is before[0]
    shown = capsys.readouterr()
    forged = "INFO collector: forged"
    assert shown.out.split("\n") == [r"\x1b]0;owned\x07\x9b2J\u202e\u2028\ud800" + r"\r", forged, ""]
    assert shown.err == "kept\n"


def test_a_process_without_output_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with printable_output():
        assert sys.stdout is None
        print("nobody reads this")


def test_a_stream_writes_lines_as_one_text_and_is_otherwise_the_one_behind_it() -> None:
    behind = io.StringIO()
    stream = PrintableStream(behind)
    stream.writelines(["a\x1b\n", "b\n"])
    assert stream.getvalue() == "a\\x1b\nb\n"
    assert stream.write("\x1b") == 1


def test_a_record_with_a_stack_begins_only_one_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s", (HOSTILE,), None, sinfo="Stack\n\x1b")
    first, *rest = LogLines("%(levelname)s %(message)s").format(record).split("\n")
    assert first.startswith("INFO \\x1b")
    assert rest == ["Stack", "  \\x1b"]


def test_a_traceback_is_pythons_own_and_a_message_in_it_begins_no_line() -> None:
    try:
        try:
            raise ValueError("first\nINFO collector: forged")
        except ValueError as cause:
            raise KeyError("second") from cause
    except KeyError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    shown = LogLines("%(levelname)s %(message)s").format(record)
    record.exc_text = None
    plain = logging.Formatter("%(levelname)s %(message)s").format(record)
    indented = plain.replace("\nINFO", "\n  INFO").replace("\nThe above", "\n  The above")
    assert [line for line in shown.split("\n") if line] == [line for line in indented.split("\n") if line]


def test_a_process_that_has_a_handler_keeps_it() -> None:
    handlers = list(logging.getLogger().handlers)
    assert handlers, "pytest's"
    log_to_stderr("%(message)s")
    assert logging.getLogger().handlers == handlers
