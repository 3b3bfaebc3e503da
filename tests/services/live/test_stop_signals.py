"""Signals are noted, and interrupt nothing."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from services.live.stop_signals import Stop, StopSignals


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def is_stopped(stop: StopSignals) -> bool:
    try:
        stop.check()
    except Stop:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_at_the_next_check_and_the_handler_before_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as stop:
        assert not is_stopped(stop)
        os.kill(os.getpid(), number)
        assert is_stopped(stop)
        assert not stop.is_urgent()
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("number", "seconds", "is_urgent"),
    [
        (signal.SIGTERM, 0, False),
        (signal.SIGTERM, 1, False),
        (signal.SIGTERM, 1.1, True),
        (signal.SIGINT, 1.1, True),
        (signal.SIGHUP, 1.1, False),
    ],
)
def test_a_second_signal_is_urgent_if_it_is_a_wish_of_its_own(
    number: signal.Signals, seconds: float, is_urgent: bool
) -> None:
    clock = Seconds()
    with StopSignals(clock=clock) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        clock.now += seconds
        os.kill(os.getpid(), number)
        assert stop.is_urgent() is is_urgent
        assert is_stopped(stop)


WAITS = (
    "import sys\n"
    "from services.live.stop_signals import Stop, StopSignals\n"
    "with StopSignals(is_under_make='make' in sys.argv) as stop:\n"
    "    print('ready', flush=True)\n"
    "    try:\n"
    "        while True:\n"
    "            stop.check()\n"
    "    except Stop:\n"
    "        print('stopped', file=sys.stderr)\n"
)


def test_a_terminal_that_is_gone_stops_without_a_signal() -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.close(slave)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        os.close(master)
        assert process.stderr.read() == b"stopped\n"


def test_a_make_that_is_gone_stops_without_a_signal() -> None:
    script = '"$0" -c "$1" make & wait'
    with subprocess.Popen(
        ["/bin/sh", "-c", script, sys.executable, WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        assert shell.stderr is not None
        assert shell.stdout.readline() == b"ready\n"
        shell.kill()
        assert shell.stderr.read() == b"stopped\n"
