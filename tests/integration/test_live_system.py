"""`make live` as a user has it: started for real, used by curl and an SDK, and ended in every way it can end."""

import json
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import redis

from local.own_folder import MARKER
from local.pubsub_emulator import free_port
from services.live.__main__ import main
from services.live.output_folder import output_folder
from tests.waiting import HANGS_AFTER_SECONDS, until

ROOT = Path(__file__).parents[2]
KEY = "local-server-write-key"
BASKET = {"properties": {"product_id": "p1", "price": 349}}


class System:
    """A running `python -m services.live`."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port = free_port()
        self.output = folder / "live"
        self._screen = folder / "screen"
        self.flags = [f"--port={self.port}", f"--output={self.output}", *flags]
        self.process = self._started()

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "services.live", *self.flags]
        with self._screen.open("wb") as screen:
            return subprocess.Popen(command, stdout=screen, stderr=subprocess.STDOUT)

    @property
    def screen(self) -> str:
        return self._screen.read_text(encoding="utf-8", errors="replace")

    def await_ready(self) -> None:
        until(
            lambda: "Ctrl-C stops everything:\n" in self.screen or self.process.poll() is not None,
            "end of the greeting",
        )
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

    @property
    def decided(self) -> int:
        """How many events the job has decided, by its status file."""
        status = self.output / "status.json"
        until(status.exists, "status file")
        return int(json.loads(status.read_text())["events_decided"])

    def signal_at_once(self, *numbers: signal.Signals) -> None:
        """Sends signals that all arrive at one moment."""
        for number in (signal.SIGSTOP, *numbers, signal.SIGCONT):
            self.process.send_signal(number)

    def send(self, events: int) -> None:
        """Sends events of one user, each in its own way harmless, through the collector."""
        batch = [
            {"type": "track", "userId": "ada", "event": "Product Viewed", "properties": {"product_id": "p1"}}
        ] * 100
        for _ in range(events // 100):
            answer = httpx.post(
                f"http://127.0.0.1:{self.port}/v1/batch", json={"batch": batch}, auth=(KEY, ""), timeout=60
            )
            assert answer.json()["published"] == 100

    def curl(self) -> list[str]:
        """Returns the command that the screen shows to try, in words."""
        command = re.search(r"^  (curl (?:.|\n)*?')$", self.screen, re.MULTILINE)
        assert command is not None
        return ["/bin/sh", "-c", command[1]]


class SystemInTerminal(System):
    """`make live`, alone in a terminal, as tmux starts it."""

    _IN_TERMINAL = (
        "import fcntl, os, sys, termios\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    """In a program of its own: code between fork and exec can wait for ever for a lock that a thread held."""

    def _started(self) -> "subprocess.Popen[bytes]":
        self.terminal, slave = pty.openpty()
        up_to_date = ["-o", ".venv/.ready"]  # as the Makefile writes it: another spelling would install anew
        command = ["make", "--directory", str(ROOT), *up_to_date, "live", f"ARGS={' '.join(self.flags)}"]
        process = subprocess.Popen(
            [sys.executable, "-c", self._IN_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._shown = b""
        return process

    @property
    def screen(self) -> str:
        while select.select([self.terminal], [], [], 0)[0]:
            self._shown += os.read(self.terminal, 10_000)
        return self._shown.decode(errors="replace").replace("\r\n", "\n")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., System]]:
    systems = []

    def started(*flags: str, kind: type[System] = System) -> System:
        systems.append(kind(tmp_path, *flags))
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
    start: Callable[..., System], capsys: pytest.CaptureFixture[str]
) -> None:
    system = start()
    documented = Path("docs/live-system.md").read_text()
    assert without_what_differs(system.screen) == without_what_differs(documented)
    assert json.loads(subprocess.check_output(system.curl(), stderr=subprocess.DEVNULL))["published"] == 1
    until(lambda: "ada  entered  big_basket_now  until" in system.screen, "change of ada")
    match = re.search(r"redis://127\.0\.0\.1:(\d+)/0", system.screen)
    assert match is not None
    with redis.Redis(port=int(match[1]), decode_responses=True) as client:
        until(
            lambda: "big_basket_now" in json.loads(client.hget("segments:profile:ada", "segments") or "{}"),
            "profile of ada",
        )
    bad = system.curl()[-1].replace('"Product Added"', '"Order Completed"')
    subprocess.check_call(["/bin/sh", "-c", bad], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: "dead letter  tracking_plan  properties.order_id: is missing" in system.screen, "letter")
    (letter,) = map(json.loads, (system.output / "dead-letters.jsonl").read_text().splitlines())
    assert letter["step"] == "Collector"
    hostile = {
        "type": "track",
        "event": "Product Added",
        "userId": "\x1b]0;owned\x07\x9b\u202e\n12:00:00  eve",
    }
    httpx.post(
        f"http://127.0.0.1:{system.port}/v1/track", json=hostile | BASKET, auth=(KEY, ""), timeout=60
    ).raise_for_status()
    shown = r"  \x1b]0;owned\x07\x9b\u202e\n12:00:00  eve  entered  big_basket_now"
    until(lambda: shown in system.screen, "change of a hostile id")
    assert [
        character for character in system.screen if character != "\n" and not character.isprintable()
    ] == []
    history = system.output / "history.jsonl"
    until(lambda: history.exists() and "big_basket_now" in history.read_text(), "row of history")
    kept = history.read_text()
    for caller, flag in ((f"{free_port()}", "--output"), (f"{system.port}", "--port")):
        assert main([f"--port={caller}", f"--output={system.output}"]) == 2, "a second live system"
        assert flag in capsys.readouterr().err
    assert history.read_text() == kept
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in system.output.iterdir()}
    assert {"history.jsonl", "dead-letters.jsonl", "status.json", "job.log", "collector.log"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(system.output.stat().st_mode) == 0o700
    system.process.send_signal(signal.SIGINT)
    assert system.wait() == 0
    assert system.screen.endswith("live: stopping …\nlive: stopped, all programs have ended\n")
    assert "live: ended; all pulled messages are processed" in (system.output / "job.log").read_text()
    assert "ended; all accepted events are published" in (system.output / "collector.log").read_text()
    with output_folder(system.output) as folder:
        assert {*folder.results(), MARKER} == {path.name for path in system.output.iterdir()}


def test_a_job_that_is_behind_is_seen_and_two_signals_at_once_end_all_in_order(
    start: Callable[..., System],
) -> None:
    system = start()
    sent = 0

    def send_as_many_again() -> None:
        nonlocal sent
        more = max(sent, 1000)
        system.send(more)
        sent += more

    def is_behind() -> bool:
        if system.decided == sent:  # at first, and again if this machine was fast enough
            send_as_many_again()
        line = r"live: the job is behind: [\d,]+ events are not decided, the oldest for \d+ s\n"
        return re.search(line, system.screen) is not None

    until(is_behind, "word that the job is behind")
    send_as_many_again()  # more than it decides while the collector ends
    system.signal_at_once(signal.SIGINT, signal.SIGTERM)
    assert system.wait() == 0
    end = re.search(r"all programs have ended; ([\d,]+) events were not processed\n$", system.screen)
    assert end is not None, system.screen
    assert int(end[1].replace(",", "")) + system.decided == sent


def test_a_terminal_that_ends_leaves_nothing(start: Callable[..., SystemInTerminal]) -> None:
    system = start(kind=SystemInTerminal)
    os.close(system.terminal)
    assert system.wait() != 0, "make was told by the terminal"
    assert "live: ended; all pulled messages are processed" in (system.output / "job.log").read_text()


@pytest.mark.long
def test_a_job_that_was_behind_catches_up(start: Callable[..., System]) -> None:
    system = start()
    system.send(500)
    until(lambda: "live: the job is behind: " in system.screen, "word that the job is behind")
    until(lambda: "live: the job has caught up" in system.screen, "word that the job has caught up")


@pytest.mark.long
def test_another_stop_a_moment_later_ends_all_at_once(start: Callable[..., System]) -> None:
    system = start()
    job = next(child for child in system.processes if "pipeline.main" in child.cmdline())
    job.suspend()
    system.process.send_signal(signal.SIGINT)
    until(lambda: "live: stopping …" in system.screen, "sign of the end")

    def is_ended_at_once() -> bool:
        system.process.send_signal(signal.SIGINT)
        return "live: stopping at once" in system.screen

    until(is_ended_at_once, "end at once")
    assert system.wait() in (0, -signal.SIGINT), "the last one may come when nothing is left to do"
    assert "live: stopped, all programs have ended" in system.screen


@pytest.mark.long
def test_a_replay_is_no_faster_than_the_job(start: Callable[..., System]) -> None:
    system = start("--replay=3000", "--log=views")
    until(lambda: "entered  window_shopper" in system.screen, "change of the replay")
    until(lambda: "replay: slowed down: the job decides about " in system.screen, "word of the replay")
    while (end := "replay: 17,435 messages of shop_views_2019-10-01.jsonl.gz sent in ") not in system.screen:
        before = system.decided
        until(lambda: system.decided > before or end in system.screen, "event decided")  # noqa: B023
    assert re.search(r"sent in \d+ s, of which \d+ s waiting for the job\n", system.screen)
    system.process.send_signal(signal.SIGINT)
    assert system.wait() == 0
    assert "  dead letter  " not in system.screen
    left = re.search(r"; ([\d,]+) events were not processed", system.screen)
    assert left is None or int(left[1].replace(",", "")) < 500


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


def test_says_which_port_is_taken(refused: Callable[..., str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(f"--port={port}", f"--output={tmp_path}")
    assert said == f"live: port {port} is in use: choose another one with --port\n"


def test_a_folder_of_the_user_is_refused_as_a_whole(refused: Callable[..., str], tmp_path: Path) -> None:
    """A user may take the folder of the rules for that of the results."""
    path = tmp_path / "mine"
    path.mkdir()
    for name in ("history.jsonl", "segments.yaml"):
        (path / name).write_text("version: 1\nsegments: {}\n")
    said = refused(f"--port={free_port()}", f"--output={path}", f"--segments={path}/segments.yaml")
    assert said == (
        f"live: the folder {path} has files that make live did not write (segments.yaml):"
        " choose another one with --output\n"
    )
    assert {entry.name for entry in path.iterdir()} == {"history.jsonl", "segments.yaml"}
