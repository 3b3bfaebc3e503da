"""Judges command lines, of scripts and of documents, by what their programs know: subcommands and flags.

gcloud brings a list of all its commands along; docker and terraform are asked for help. Whatever of them is missing
on this machine is left unjudged, and `judged` tells so.
"""

import functools
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands.cli import COMMANDS

ROOT = Path(__file__).parents[1]
JUDGED = ("gcloud", "docker", "terraform")
"""Programs that are judged where they are installed."""
_OF_LISTS = {"--filter", "--limit", "--page-size", "--sort-by", "--uri"}


def is_installed(program: str) -> bool:
    """Tells whether a program can be judged here."""
    return gcloud_tree() is not None if program == "gcloud" else shutil.which(program) is not None


def problems(words: list[str]) -> Iterator[str]:
    """Yields what a command's program does not know: a subcommand, a flag, a target."""
    program, *rest = words
    name = Path(program).name
    if name in JUDGED and not is_installed(name):
        return
    match name:
        case "gcloud":
            yield from _gcloud(rest)
        case "docker":
            yield from _by_help("docker", rest, "--help", "--")
        case "terraform":
            rest = [word for word in rest if not word.startswith("-chdir=")]
            yield from _by_help("terraform", rest, "-help", "-")
        case "make":
            yield from _make(rest)
        case "segments":
            yield from _segments(rest)
        case _:
            yield f"nobody judges {program}"


@functools.cache
def gcloud_tree() -> dict[str, Any] | None:
    """Returns gcloud's commands and flags; None where gcloud, or its list of them, is missing."""
    program = shutil.which("gcloud")
    if program is None:
        return None
    path = Path(program).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
    if not path.is_file():
        assert not os.environ.get("CI"), f"gcloud is here, and its list of commands is not: {path}"
        return None
    tree: dict[str, Any] = runpy.run_path(str(path))["STATIC_COMPLETION_CLI_TREE"]
    return tree


def _gcloud(words: list[str]) -> Iterator[str]:
    tree = gcloud_tree()
    assert tree is not None
    node, named = tree, ["gcloud"]
    for word in words:
        if word not in node["commands"]:
            break
        node = node["commands"][word]
        named.append(word)
    if node["commands"]:
        yield f"{' '.join(named)}: {' '.join(words[len(named) - 1 :][:1]) or 'nothing'} is none of its commands"
        return
    known = {*node["flags"], *tree["flags"], *(_OF_LISTS if named[-1] == "list" else ())}
    for flag in _flags(words, "--"):
        if flag not in known and flag.replace("--no-", "--", 1) not in known:
            yield f"{' '.join(named)} has no {flag}"


def _by_help(program: str, words: list[str], help_flag: str, dashes: str) -> Iterator[str]:
    subcommands: list[str] = []
    for word in words:
        listed = re.search(
            rf"^  {re.escape(word)}\*?\s", _help(program, *subcommands, help_flag), re.MULTILINE
        )
        if word.startswith("-") or listed is None:
            break
        subcommands.append(word)
    if not subcommands:
        yield f"{program} has no {' '.join(words[:1])}"
        return
    text = _help(program, *subcommands, help_flag)
    if program == "terraform" and subcommands[0] in ("apply", "destroy"):
        text += _help(program, "plan", help_flag)  # whose flags they take too
    for flag in _flags(words, dashes):
        if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text):
            yield f"{program} {' '.join(subcommands)} has no {flag}"


@functools.cache
def _help(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _make(words: list[str]) -> Iterator[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, given, _ = word.partition("=")
        if not given and not re.search(rf"^{re.escape(name)}:", text, re.MULTILINE):
            yield f"make has no target {name}"
        if given and not re.search(rf"\b{re.escape(name)}\b", text + _settings()):
            yield f"nothing reads {name}"


def _settings() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "templates").glob("*.py")))


def _segments(words: list[str]) -> Iterator[str]:
    command, *rest = words
    if command not in COMMANDS:
        yield f"segments has no command {command}"
        return
    text = _help(sys.executable, "-m", "commands.cli", command, "--help")
    for flag in _flags(rest, "--"):
        if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text):
            yield f"segments {command} has no {flag}"


def _flags(words: list[str], dashes: str) -> Iterator[str]:
    for word in words:
        if word == "--":
            return
        if re.match(rf"{dashes}[a-z]", word):
            yield word.partition("=")[0]
