"""Tests interrupt programs, also where the shell that started them ignores the signals, as a script's background does.

A program inherits which signals are ignored, and a test that interrupts one would wait for its end for ever.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_WITHIN = "SIGNALS_IGNORED_BY_A_TEST"
_IGNORED = "import signal; print([s.name for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN])"
_ALWAYS_IGNORED = ["SIGPIPE", "SIGXFSZ"]
"""By Python itself."""


def test_a_child_ignores_no_signal() -> None:
    child = subprocess.run([sys.executable, "-c", _IGNORED], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == str(_ALWAYS_IGNORED)


@pytest.mark.skipif(_WITHIN in os.environ, reason="this is what is run")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_child_ignores_no_signal_where_the_shell_does(workers: str) -> None:
    names = " ".join(number.name.removeprefix("SIG") for number in SIGNALS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", workers, __file__]
    shell = ["/bin/sh", "-c", f'trap "" {names}; exec "$@"', "sh", *command]
    environment = {**os.environ, _WITHIN: "1"}
    run = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout
