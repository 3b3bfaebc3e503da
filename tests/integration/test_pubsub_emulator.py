"""The emulator starts, answers, and always ends."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from local.pubsub_emulator import PubSubEmulator, main
from tests.waiting import HANGS_AFTER_SECONDS

ROOT = Path(__file__).parents[2]


def answer(host: str) -> str:
    with urllib.request.urlopen(f"http://{host}/") as response:
        return response.read().decode().strip()


def test_answers_at_its_own_port_and_ends_with_the_block():
    with pytest.raises(ZeroDivisionError), PubSubEmulator() as emulator:
        pid = emulator.pid
        emulator.start()
        assert emulator.pid == pid, "it runs already"
        assert answer(emulator.host) == "Ok"
        raise ZeroDivisionError
    assert not psutil.pid_exists(pid)
    assert emulator.pid is None


def test_the_command_runs_until_it_is_interrupted():
    """Ctrl-C reaches everything in the terminal: the emulator outlives it until its own command ends it."""
    command = subprocess.Popen(
        [sys.executable, "-m", "local.pubsub_emulator", "--port=0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with command, contextlib.ExitStack() as ends:
        ends.callback(command.kill)
        name, host = command.stdout.readline().split("=")
        assert name == "PUBSUB_EMULATOR_HOST"
        assert answer(host.strip()) == "Ok"
        (java,) = [child for child in psutil.Process(command.pid).children() if child.name() == "java"]
        assert os.getpgid(java.pid) != os.getpgid(command.pid)
        os.killpg(command.pid, signal.SIGINT)
        assert command.wait(HANGS_AFTER_SECONDS) == 0
        assert not psutil.pid_exists(java.pid)


def test_the_command_says_what_it_would_run(capsys):
    assert main(["--find"]) == 0
    java, jar = capsys.readouterr().out.split()
    assert Path(java).name == "java"
    assert Path(jar).suffix == ".jar"
