"""A running job, and the topics around it, as tests see them: from the outside."""

import json
import multiprocessing
import os
import signal
import sys
import time
import uuid
import warnings
from collections.abc import Iterable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import redis
from google.cloud import pubsub_v1
from google.pubsub_v1.types import PubsubMessage

from segmentation.timestamps import format_timestamp
from tests.waiting import HANGS_AFTER_SECONDS, until

PROJECT = "project-x"
RULES = str(Path(__file__).with_name("rules.yaml"))
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pipeline.main"])  # imported once: a job then starts in a moment


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def body(name: str, user: str, at_ms: int | None = None, message_id: str = "", **properties: Any) -> bytes:
    """Returns a track message, which happens now."""
    return json.dumps(
        {
            "type": "track",
            "messageId": message_id or uuid.uuid4().hex,
            "userId": user,
            "event": name,
            "timestamp": format_timestamp(now_ms() if at_ms is None else at_ms),
            "properties": properties,
        }
    ).encode()


class Topic:
    """A topic with one subscription, of fresh names."""

    def __init__(self, publisher: pubsub_v1.PublisherClient, subscriber: Any) -> None:
        self._publisher = publisher
        self._subscriber = subscriber
        name = f"t-{uuid.uuid4().hex}"
        self.name = publisher.topic_path(PROJECT, name)
        self.subscription = subscriber.subscription_path(PROJECT, name)
        publisher.create_topic(name=self.name)
        subscriber.create_subscription(name=self.subscription, topic=self.name)
        self._taken: dict[str, PubsubMessage] = {}

    def publish(self, payload: bytes, **attributes: str) -> None:
        """Publishes one message, and returns when it is in the topic."""
        self.publish_all([payload], **attributes)

    def publish_all(self, payloads: Iterable[bytes], **attributes: Any) -> None:
        """Publishes messages, and returns when all are in the topic."""
        futures = [self._publisher.publish(self.name, payload, **attributes) for payload in payloads]
        for future in futures:
            future.result(HANGS_AFTER_SECONDS)

    def taken(self) -> list[PubsubMessage]:
        """Returns all messages that were ever taken from the subscription, after taking what is there.

        Pub/Sub delivers a message again if this machine is so busy that its acknowledgement comes too late.
        """
        while received := self._pull():
            self._subscriber.acknowledge(
                subscription=self.subscription, ack_ids=[message.ack_id for message in received]
            )
            self._taken |= {message.message.message_id: message.message for message in received}
        return list(self._taken.values())

    def _pull(self) -> list[Any]:
        request = {"subscription": self.subscription, "max_messages": 1000, "return_immediately": True}
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            return list(self._subscriber.pull(request=request).received_messages)


class LiveJob:
    """The job's process, as `python -m pipeline.main` runs it, reading from one topic."""

    def __init__(self, events: Topic, folder: Path, redis_url: str, *flags: str) -> None:
        self.events = events
        self.folder = folder
        self.redis_url = redis_url
        self._log = folder / f"log-{uuid.uuid4().hex}"
        self._log.touch()
        argv = [
            f"--input_subscription={events.subscription}",
            f"--segments={RULES}",
            f"--redis_url={redis_url}",
            f"--history_path={folder}/history",
            *(flags or [f"--dead_letter_path={folder}/dead"]),
        ]
        emulator = os.environ["PUBSUB_EMULATOR_HOST"]
        self.process: ForkServerProcess = _processes.Process(
            target=_run, args=(argv, str(self._log), emulator), daemon=True
        )
        self.process.start()
        until(lambda: "taking messages" in self.log or not self.process.is_alive(), "sign of the job's start")
        assert self.process.is_alive(), self.log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait(self) -> int | None:
        """Returns the exit status when the process has ended; negative if a signal ended it."""
        self.process.join(HANGS_AFTER_SECONDS)
        assert not self.process.is_alive(), self.log
        return self.process.exitcode

    def kill(self) -> None:
        """Ends the process if it still runs."""
        self.process.kill()
        self.process.join()

    def rows(self, kind: str = "history") -> list[dict[str, Any]]:
        """Returns the rows written so far; a line that is being written is left out."""
        path = self.folder / f"{kind}.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def changes_of(self, user: str) -> list[dict[str, Any]]:
        return [row for row in self.rows() if row["profile_id"] == user]


class Profiles:
    """The profiles in a Redis."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, decode_responses=True)

    def users(self) -> set[str]:
        keys = self._client.scan_iter("segments:profile:*", count=10_000)
        return {key.removeprefix("segments:profile:") for key in keys}

    def profile(self, user: str) -> dict[str, Any]:
        """Returns the profile; empty if there is none."""
        fields: Any = self._client.hgetall(f"segments:profile:{user}")
        return {**fields, "segments": json.loads(fields["segments"])} if fields else {}

    def segments(self, user: str) -> set[str]:
        return set(self.profile(user).get("segments", ()))


def _run(argv: list[str], log: str, emulator: str) -> None:
    """Runs in the job's process."""
    from pipeline.main import main

    os.environ["PUBSUB_EMULATOR_HOST"] = emulator
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.exit(main(argv))
