"""Follows the commands of a page of docs/, in its order.

A comment before a block says more than its reader needs to see: that it keeps running, under which name, and what
it says when it is ready; which text it shows sooner or later; that it only defines functions. A comment of its own
interrupts what keeps running.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from local.process import Child
from local.pubsub_emulator import free_port
from tests.waiting import HANGS_AFTER_SECONDS, until

ROOT = Path(__file__).parents[2]
_PORTS = ("8080", "8085", "6379")
"""Which the pages use."""
_BLOCK = r"^(?:<!-- ([a-z ]+)(?:: ([^\n]*))? -->\n)?```sh\n(.*?)^```$"
_PART = re.compile(rf"{_BLOCK}|^<!-- (interrupt): (\w+) -->$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """What to do, a word about it, and the block."""

    action: str
    word: str
    block: str


def steps(page: str) -> Iterator[Step]:
    """Yields what a page of docs/ tells to do."""
    for action, word, block, interrupt, whom in _PART.findall((ROOT / "docs" / page).read_text()):
        yield Step(action or interrupt or "run", word or whom, block)


class Reader:
    """Someone who types in the page's commands, in a folder and on ports of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {port: str(free_port()) for port in _PORTS}
        self._functions = ""
        self.running: dict[str, Child] = {}

    def take(self, step: Step) -> None:
        script = self._adapted(step.block)
        if step.action == "defines":
            self._functions += script
        elif step.action == "keeps running":
            name, sign = step.word.split(", says ")
            self.running[name] = Child(["bash", "-c", script], self._log(name), folder=ROOT)
            until(lambda: sign in self.said(name), sign)
        elif step.action == "shows":
            until(lambda: step.word in self.type_in(script).stdout, step.word)
        elif step.action == "interrupt":
            os.killpg(self.running[step.word].pid, signal.SIGINT)  # as a terminal does
            assert self.running[step.word].wait(HANGS_AFTER_SECONDS) == 0, self.said(step.word)
            self.running.pop(step.word).stop()
        else:
            result = self.type_in(script)
            assert result.returncode == 0, result

    def end(self) -> None:
        """Ends what still runs."""
        for program in reversed(self.running.values()):
            if program.runs:
                os.killpg(program.pid, signal.SIGTERM)
                program.wait(HANGS_AFTER_SECONDS)
            program.stop()

    def type_in(self, script: str) -> "subprocess.CompletedProcess[str]":
        command = ["bash", "-e", "-o", "pipefail", "-c", self._functions + script]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    def said(self, name: str) -> str:
        return self._log(name).read_text()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _adapted(self, script: str) -> str:
        own = {**self._ports, ".venv/bin/": f"{Path(sys.executable).parent}/", "out/": f"{self._folder}/"}
        return re.sub("|".join(map(re.escape, own)), lambda usual: own[usual[0]], script)
