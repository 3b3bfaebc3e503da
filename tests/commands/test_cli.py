"""The command `segments` finds its commands, and `segments check` finds mistakes."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from commands.cli import COMMANDS, main
from pipeline import main as main_job

ROOT = Path(__file__).parents[2]
SEGMENTS = ROOT / "definitions" / "segments.yaml"
MANY = (
    "version: 1\nmeasures:\n  orders: {event: Order Completed, within: 90d, count: {}}\n"
    "scores:\n  engagement: {earn: [{event: Product Added, points: 5}]}\n"
    "segments:\n  loyal: {when: {measure: orders, at_least: 2}}\n  pro: {when: {trait: plan, equals: pro}}\n"
)


def program(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "commands.cli", *argv], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_help_lists_every_command_on_a_line_of_its_own() -> None:
    done = program("--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for name, command in COMMANDS.items():
        assert [line.split(maxsplit=1) for line in lines].count([name, command.purpose]) == 1
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_main(name: str) -> None:
    assert callable(importlib.import_module(COMMANDS[name].module).main)


def test_without_a_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == ("", "usage: segments COMMAND …")


def test_takes_the_programs_arguments_when_it_gets_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["segments", "chek"])
    assert main() == 2
    assert capsys.readouterr().err == "segments: no command chek; did you mean check?\n"
    monkeypatch.setattr(sys, "argv", ["segments", "qqq"])
    assert main() == 2
    assert capsys.readouterr().err == "segments: no command qqq; see segments --help\n"


def test_run_hands_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def job(argv: list[str]) -> int:
        given.append(argv)
        return 7

    monkeypatch.setattr(main_job, "main", job)
    argv = ["--events=x", "--help", "--runner", "DirectRunner", "--", "-x"]
    assert main(["run", *argv]) == 7
    assert main(["run"]) == 7
    assert given == [argv, []]


def test_run_is_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--evnts=x"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "segments run: unknown flag --evnts; did you mean --events?\n")


def test_an_interrupted_command_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def job(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_job, "main", job)
    assert main(["run"]) == 130


# check


def test_check_says_what_is_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SEGMENTS)]) == 0
    shown = capsys.readouterr()
    summary = "10 segments, 2 measures, 1 score, looking back 365d at most, rules version "
    assert shown.out.startswith(f"{SEGMENTS}: {summary}")
    assert (shown.out.count("\n"), shown.err) == (1, "")


def test_check_counts_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "segments.yaml"
    file.write_text(MANY)
    assert main(["check", str(file)]) == 0
    assert (
        "yaml: 2 segments, 1 measure, 1 score, 1 trait, looking back 90d at most" in capsys.readouterr().out
    )
    file.write_text(
        "version: 1\nsegments:\n  buyer: {when: {event: Order Completed, count: {at_least: 1}}}\n"
    )
    assert main(["check", str(file)]) == 0
    assert "yaml: 1 segment, rules version " in capsys.readouterr().out


def test_check_prints_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    file.write_text(MANY.replace("within", "wihtin").replace("loyal", "Loyal").replace("equals", "equal"))
    done = program("check", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    heading, *mistakes = done.stderr.splitlines()
    assert heading == f"segments check: {file} has {len(mistakes)} mistakes:"
    assert [line.split(":")[0] for line in mistakes] == ["  line 3", "  line 7", "  line 8"]
    assert "within" in mistakes[0]
    assert "equals" in mistakes[2]


@pytest.mark.parametrize(
    "path, reason",
    [
        ("no/such.yaml", "cannot be read: No such file or directory"),
        ("no/such/", "cannot be read: No such file or directory"),
        (".", "has no *.yaml: give the folder with one file per event"),
    ],
)
def test_check_needs_a_readable_file_or_folder(
    path: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", path]) == 2
    assert capsys.readouterr().err == f"segments check: {path} {reason}\n"


def test_check_does_not_wait_for_beam() -> None:
    code = (
        "import sys; from commands.cli import main; main(['check', sys.argv[1]]);"
        "print('apache_beam' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(SEGMENTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["False"]


def test_a_command_that_an_image_lacks_the_files_of_says_where_to_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "commands.demo.command", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "local"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "local", None)
    assert main(["demo"]) == 2
    assert "segments demo: run this in a checkout of the project" in capsys.readouterr().err
