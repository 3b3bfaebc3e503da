"""Ids, names, rules and files of others write neither controls nor lines of their own to the operator's terminal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f\n  forged"
SHOWN = r"\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f\n  forged"


def said_by(*command: object, status: int) -> str:
    """Returns what a program wrote to both outputs, which has no character but visible ones and line ends."""
    done = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=ROOT, capture_output=True)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == status, said
    assert [character for character in said if character != "\n" and not character.isprintable()] == []
    assert not any(line.startswith("  forged") for line in said.split("\n")), said
    return said


def test_check_shows_hostile_definitions(tmp_path: Path) -> None:
    path = tmp_path / f"rules{HOSTILE}.yaml"
    key, text = json.dumps(f"bot{HOSTILE}"), json.dumps(HOSTILE)
    path.write_text(
        f"version: 1\nsegments:\n  {key}:\n    when: {{event: {text}, {text}: 1, within: {text}}}\n"
        f"  x: {{when: {{segment: {text}}}, description: !<{json.dumps('!x%1B')[1:-1]}> a}}\n{text}: 1\n"
    )
    said = said_by("commands.cli", "check", path, status=2)
    assert said.count(SHOWN) >= 2, said
    assert said.startswith("segments check: ")
    assert f"rules{SHOWN}.yaml has " in said
    path.write_text("version: 1\nsegments: {x: {when: {event: A, within: 1h}}}\n")
    assert f"rules{SHOWN}.yaml: 1 segment" in said_by("commands.cli", "check", path, status=0)


def test_check_shows_a_hostile_tracking_plan(tmp_path: Path) -> None:
    (tmp_path / f"a{HOSTILE}.yaml").write_text(f"event: {json.dumps(HOSTILE)}\n{json.dumps(HOSTILE)}: 1\n")
    said = said_by("commands.cli", "check", tmp_path, status=2)
    assert f"a{SHOWN}.yaml: line " in said
    (tmp_path / f"b{HOSTILE}.yml").touch()
    assert f"b{SHOWN}.yml: a plan's files end in .yaml" in said_by(
        "commands.cli", "check", tmp_path, status=2
    )


@pytest.mark.parametrize("argument", ["commands.cli", "commands.canary", "pipeline.main", "services.live"])
def test_a_hostile_argument_is_shown(argument: str) -> None:
    assert said_by(argument, f"--x{HOSTILE.partition(chr(10))[0]}", status=2)


def test_a_run_shows_hostile_logs(redis_url: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    where = json.dumps('properties."p\x1b\x9b"') + ": {at_least: 1}"
    rules.write_text(f"version: 1\nsegments:\n  x: {{when: {{event: A, within: 1h, where: {{{where}}}}}}}\n")
    event = {"type": "track", "event": "A", "userId": HOSTILE, "timestamp": "2026-03-02T12:00:00Z"}
    for name in ("a", "b"):
        lines = [
            json.dumps(event | {"messageId": name, "properties": {"p\x1b\x9b": HOSTILE}}),
            *[HOSTILE] * 3,
        ]
        (tmp_path / f"{name}{HOSTILE}.jsonl").write_text("\n".join(lines))
    flags = [f"--segments={rules}", f"--redis_url={redis_url}", "--report_skipped"]
    flags += [f"--history_path={tmp_path}/history{HOSTILE}", f"--dead_letter_path={tmp_path}/dead{HOSTILE}"]
    said = said_by("commands.cli", "run", f"--events={tmp_path}/*.jsonl", *flags, status=1)
    assert f"a{SHOWN}.jsonl to " in said
    assert f"history{SHOWN}" in said
    assert r"p\x1b\x9b" in said


@pytest.mark.parametrize("flag", ["settings", "tracking_plan", "ignored_ids"])
def test_the_collector_shows_hostile_files(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    folder = tmp_path / f"plan{HOSTILE}"
    folder.mkdir()
    (folder / f"a{HOSTILE}.yaml").write_text(f"{json.dumps(HOSTILE)}: 1\n")
    (folder / "ids").write_bytes(b"\xff")
    given = {
        "settings": ROOT / "definitions" / "collector.yaml",
        "tracking_plan": ROOT / "definitions" / "tracking_plan",
        flag: {
            "settings": folder / f"a{HOSTILE}.yaml",
            "tracking_plan": folder,
            "ignored_ids": folder / "ids",
        }[flag],
    }
    flags = [f"--{name}={path}" for name, path in given.items()]
    topics = ["--events_topic=projects/p/topics/e", "--dead_letter_topic=projects/p/topics/d", "--port=0"]
    assert f"plan{SHOWN}" in said_by("services.collector", *flags, *topics, status=2)
