"""Runs the whole system on one machine: its programs, their order, and a check of readiness for each."""

import contextlib
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import redis

from local.embedded_redis import redis_program
from local.programs import Program, ProgramError, Programs
from local.pubsub_emulator import answers, emulator_command
from segmentation.control import CONTROL_ATTRIBUTE
from services.live.news import post, pull
from services.live.output_folder import STATUS, output_folder

PROJECT = "projects/live-segments"
EVENTS_TOPIC = f"{PROJECT}/topics/events"
DEAD_LETTERS_TOPIC = f"{PROJECT}/topics/dead-letters"
EVENTS_SUBSCRIPTION = f"{PROJECT}/subscriptions/job"
DEAD_LETTERS_SUBSCRIPTION = f"{PROJECT}/subscriptions/dead-letters"
_HOST = "127.0.0.1"
_JOB_IS_READY = "live: taking messages"


class LiveFiles(NamedTuple):
    """The files that the system reads, and the folder that it writes."""

    segments: Path
    tracking_plan: Path
    settings: Path
    """The collector's settings file."""
    output: Path
    """The folder for the history, dead letters and logs; those of an earlier run are deleted."""


class LivePorts(NamedTuple):
    """Ports of this machine."""

    collector: int
    redis: int
    pubsub: int


class LiveSystem:
    """Runs the Pub/Sub emulator, Redis, the job and the collector for a `with` block. The data is not durable.

    Args:
      files: the files and the output folder.
      ports: the ports of its servers.
      check_stop: called while programs start; an exception from it ends the start.
      log_replay: arguments of `services.live.replay` without `--collector`; None: no log is replayed.
    """

    def __init__(
        self,
        files: LiveFiles,
        ports: LivePorts,
        check_stop: Callable[[], None] = lambda: None,
        log_replay: Sequence[str] | None = None,
    ) -> None:
        self._check_stop = check_stop
        self.url = f"http://{_HOST}:{ports.collector}"
        self.emulator = f"{_HOST}:{ports.pubsub}"
        self.redis_port = ports.redis
        self.status_file = files.output / STATUS
        python = (sys.executable, "-m")
        plan = f"--tracking_plan={files.tracking_plan}"
        programs = [
            Program("emulator", emulator_command(ports.pubsub)),
            Program(
                "redis",
                [
                    redis_program(),
                    "--bind",
                    _HOST,
                    "--port",
                    str(self.redis_port),
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                ],
            ),
            Program(
                "job",
                [
                    *python,
                    "pipeline.main",
                    f"--input_subscription={EVENTS_SUBSCRIPTION}",
                    f"--segments={files.segments}",
                    f"--redis_url={self.redis_url}",
                    f"--history_path={files.output}/history",
                    f"--dead_letter_topic={DEAD_LETTERS_TOPIC}",
                    plan,
                ],
            ),
            Program(
                "collector",
                [
                    *python,
                    "services.collector",
                    f"--settings={files.settings}",
                    f"--events_topic={EVENTS_TOPIC}",
                    f"--dead_letter_topic={DEAD_LETTERS_TOPIC}",
                    f"--port={ports.collector}",
                    plan,
                ],
            ),
        ]
        self._replays_log = log_replay is not None
        if log_replay is not None:
            command = [*python, "services.live.replay", *log_replay, f"--collector={self.url}"]
            command.append(f"--status_file={self.status_file}")
            programs.append(Program("replay", command, may_end=True))
        environment = {
            "PUBSUB_EMULATOR_HOST": self.emulator,
            "LIVE_STATUS_FILE": str(self.status_file.absolute()),
        }
        self.programs = Programs(programs, files.output, environment)
        self.folder = output_folder(files.output, (files.segments, files.tracking_plan, files.settings))

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return f"redis://{_HOST}:{self.redis_port}/0"

    def __enter__(self) -> Self:
        self.programs.__enter__()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.programs.__exit__(error_type, error, traceback)

    def start(self) -> None:
        """Starts each program when the ones before it are ready, and returns when all are ready.

        Raises:
          ProgramError: a program ended, or did not become ready in time.
        """
        self._start("emulator", lambda: answers(self.emulator))
        self._make_topics()
        self._start("redis", self._redis_answers)
        self._start("job", self._job_takes_messages)
        self._start("collector", self._collector_is_ready)
        if self._replays_log:
            self._start("replay", lambda: True)

    def end_processing(self, is_urgent: Callable[[], bool]) -> int | None:
        """Stops the replay, the collector and the job, in this order; Redis and the emulator go on.

        Returns how many events are left in the subscription; None if that is unknown, because a program ended by
        itself or `is_urgent` returned True, which kills all programs.
        """
        try:
            for name in ("replay", "collector", "job"):
                self.programs.end(name, is_urgent)
            return sum(1 for _ in self._left())
        except (ProgramError, OSError):
            return None

    def _left(self) -> Iterator[dict[str, Any]]:
        """Yields the events in the job's subscription, and acknowledges them."""
        subscription = f"http://{self.emulator}/v1/{EVENTS_SUBSCRIPTION}"
        while received := pull(subscription, 1000):
            yield from (
                message for message in received if CONTROL_ATTRIBUTE not in message.get("attributes", {})
            )

    def _start(self, name: str, is_ready: Callable[[], bool]) -> None:
        def is_ready_or_stopped() -> bool:
            self._check_stop()
            return is_ready()

        self.programs.start(name, is_ready_or_stopped)

    def _make_topics(self) -> None:
        for topic, subscription in (
            (EVENTS_TOPIC, EVENTS_SUBSCRIPTION),
            (DEAD_LETTERS_TOPIC, DEAD_LETTERS_SUBSCRIPTION),
        ):
            post(f"http://{self.emulator}/v1/{topic}", {}, "PUT")
            post(f"http://{self.emulator}/v1/{subscription}", {"topic": topic}, "PUT")

    def _redis_answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.redis_url) as client:
            return bool(client.ping())
        return False

    def _job_takes_messages(self) -> bool:
        log = self.programs.log("job")
        return log.exists() and _JOB_IS_READY in log.read_text(errors="replace")

    def _collector_is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
        return False


def is_free(port: int) -> bool:
    """Returns whether no program listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
