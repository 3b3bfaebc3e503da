"""Runs the whole system on one machine: its programs, their order, and a check of readiness for each."""

import contextlib
import shutil
import socket
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import redis

from local.embedded_redis import redis_program
from local.programs import Program, Programs
from local.pubsub_emulator import answers, emulator_command, free_port
from services.live.news import post

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
    """The folder for the history, dead letters and logs; files of an earlier run are deleted."""


class LiveSystem:
    """Runs the Pub/Sub emulator, Redis, the job and the collector for a `with` block. The data is not durable.

    Args:
      files: the files and the output folder.
      port: the collector's port.
      log_replay: arguments of `services.live.replay` without `--collector`; None: no log is replayed.
    """

    def __init__(self, files: LiveFiles, port: int, log_replay: Sequence[str] | None = None) -> None:
        self._files = files
        self.url = f"http://{_HOST}:{port}"
        emulator_port = free_port()
        self.emulator = f"{_HOST}:{emulator_port}"
        self.redis_port = free_port()
        python = (sys.executable, "-m")
        plan = f"--tracking_plan={files.tracking_plan}"
        programs = [
            Program("emulator", emulator_command(emulator_port)),
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
                    f"--port={port}",
                    plan,
                ],
            ),
        ]
        self._replays_log = log_replay is not None
        if log_replay is not None:
            command = [*python, "services.live.replay", *log_replay, f"--collector={self.url}"]
            programs.append(Program("replay", command, may_end=True))
        self.programs = Programs(programs, files.output, {"PUBSUB_EMULATOR_HOST": self.emulator})

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return f"redis://{_HOST}:{self.redis_port}/0"

    def __enter__(self) -> Self:
        shutil.rmtree(self._files.output, ignore_errors=True)
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
        self.programs.start("emulator", lambda: answers(self.emulator))
        self._make_topics()
        self.programs.start("redis", self._redis_answers)
        self.programs.start("job", self._job_takes_messages)
        self.programs.start("collector", self._collector_is_ready)
        if self._replays_log:
            self.programs.start("replay", lambda: True)

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
