"""`make live` as a user has it: started for real, used by curl and an SDK, and ended in every way it can end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from local.pubsub_emulator import free_port
from services.live.__main__ import main
from tests.waiting import HANGS_AFTER_SECONDS, until

KEY = "local-server-write-key"


class System:
    """A running `python -m services.live`."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port = free_port()
        self.output = folder / "live"
        self._screen = folder / "screen"
        command = [sys.executable, "-m", "services.live", f"--port={self.port}", f"--output={self.output}"]
        with self._screen.open("wb") as screen:
            self.process = subprocess.Popen([*command, *flags], stdout=screen, stderr=subprocess.STDOUT)

    @property
    def screen(self) -> str:
        return self._screen.read_text()

    def await_ready(self) -> None:
        until(lambda: "live: ready" in self.screen or self.process.poll() is not None, "sign of readiness")
        assert self.process.poll() is None, self.screen
        self.processes = psutil.Process(self.process.pid).children(recursive=True)
        ports = re.findall(r"127\.0\.0\.1:(\d+)", self.screen)
        self.ports = {int(port) for port in ports}
        assert len(self.ports) == 3

    def wait(self) -> int:
        """Returns the exit status, when nothing is left: no process, and nothing that listens."""
        status = self.process.wait(HANGS_AFTER_SECONDS)
        _, alive = psutil.wait_procs(self.processes, HANGS_AFTER_SECONDS)
        assert not alive
        for port in self.ports:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0
        return status

    def curl(self) -> list[str]:
        """Returns the command that the screen shows to try, in words."""
        command = re.search(r"^  (curl (?:.|\n)*?')$", self.screen, re.MULTILINE)
        assert command is not None
        return ["/bin/sh", "-c", command[1]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., System]]:
    systems = []

    def started(*flags: str) -> System:
        systems.append(System(tmp_path, *flags))
        systems[-1].await_ready()
        return systems[-1]

    yield started
    for system in systems:
        system.process.kill()  # what it started ends with it
        system.process.wait()


def without_what_differs(screen: str) -> str:
    """Returns the greeting with its ports and the folder masked."""
    greeting = screen[screen.index("live: ready,") : screen.index("Ctrl-C stops everything:")]
    greeting = re.sub(r"127\.0\.0\.1:\d+|port=\d+", "PORT", greeting)
    return re.sub(r"\S+/(\S+\.jsonl|\*\.log)$", r"FOLDER/\1", greeting, flags=re.MULTILINE)


def test_an_event_becomes_a_change_and_a_profile_and_ctrl_c_leaves_nothing(
    start: Callable[..., System],
) -> None:
    system = start()
    documented = Path("docs/live-system.md").read_text()
    assert without_what_differs(system.screen) == without_what_differs(documented)
    assert json.loads(subprocess.check_output(system.curl(), stderr=subprocess.DEVNULL))["published"] == 1
    until(lambda: "ada  entered  big_basket_now  until" in system.screen, "change of ada")
    match = re.search(r"redis://127\.0\.0\.1:(\d+)/0", system.screen)
    assert match is not None
    with redis.Redis(port=int(match[1]), decode_responses=True) as client:
        assert "big_basket_now" in json.loads(client.hget("segments:profile:ada", "segments") or "{}")
    bad = system.curl()[-1].replace('"Product Added"', '"Order Completed"')
    subprocess.check_call(["/bin/sh", "-c", bad], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: "dead letter  tracking_plan  properties.order_id: is missing" in system.screen, "letter")
    (letter,) = map(json.loads, (system.output / "dead-letters.jsonl").read_text().splitlines())
    assert letter["step"] == "Collector"
    assert "big_basket_now" in (system.output / "history.jsonl").read_text()
    system.process.send_signal(signal.SIGINT)
    assert system.wait() == 0
    assert system.screen.endswith("live: stopping …\nlive: stopped, all programs have ended\n")
    assert "live: ended; all pulled messages are processed" in (system.output / "job.log").read_text()
    assert "ended; all accepted events are published" in (system.output / "collector.log").read_text()


@pytest.mark.long
def test_replays_a_log_through_an_sdk(start: Callable[..., System]) -> None:
    system = start("--replay=3000", "--log=views")
    until(lambda: "entered  window_shopper" in system.screen, "change of the replay")
    until(
        lambda: "17,435 messages of shop_views_2019-10-01.jsonl.gz sent" in system.screen, "end of the replay"
    )
    system.process.send_signal(signal.SIGINT)
    assert system.wait() == 0
    assert "  dead letter  " not in system.screen


@pytest.mark.long
@pytest.mark.parametrize(
    "program", ["pubsub-emulator", "redis-server", "pipeline.main", "services.collector"]
)
def test_ends_when_one_of_its_programs_does(start: Callable[..., System], program: str) -> None:
    system = start()
    (process,) = [child for child in system.processes if program in " ".join(child.cmdline())]
    process.kill()
    assert system.wait() == 1
    assert re.search(r"^live: (emulator|redis|job|collector) ended: ", system.screen, re.MULTILINE)


@pytest.mark.long
def test_ends_with_its_terminal(start: Callable[..., System]) -> None:
    system = start()
    system.process.send_signal(signal.SIGHUP)
    assert system.wait() == 0


@pytest.mark.long
def test_leaves_nothing_when_it_is_killed(start: Callable[..., System]) -> None:
    system = start()
    system.process.kill()
    assert system.wait() == -signal.SIGKILL


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Returns what it says when it does not start."""

    def said(*flags: str) -> str:
        assert main(flags) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        return shown.err

    return said


def test_says_how_to_get_the_emulator_where_it_is_missing(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_JAR", "/no/such.jar")
    said = refused(f"--port={free_port()}")
    assert said == "live: no Pub/Sub emulator: $PUBSUB_EMULATOR_JAR names no file: /no/such.jar\n"
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    assert refused(f"--port={free_port()}").startswith("live: the Pub/Sub emulator needs java")


def test_says_which_port_is_taken(refused: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(f"--port={port}") == f"live: port {port} is in use: choose another one with --port\n"
