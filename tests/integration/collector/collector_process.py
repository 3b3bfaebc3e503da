"""A running collector, as its clients and its operators see it."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

from segmentation.timestamps import format_timestamp
from tests.integration.live_job import Topic, now_ms
from tests.waiting import HANGS_AFTER_SECONDS, until

ROOT = Path(__file__).parents[3]
SETTINGS = Path(__file__).with_name("settings.yaml")
WEB, SERVER = "web-write-key", "server-write-key"
DISABLED, LIMITED, IMPATIENT = "disabled-write-key", "limited-write-key", "impatient-write-key"
SHOP = "https://shop.example"
"""The origin that `WEB` allows."""


class CollectorProcess:
    """A collector in a process of its own.

    Args:
      folder: for its log.
      events, dead_letters: where it publishes.
      flags: more of them, also instead of those that it gets here.
      emulator: another one than PUBSUB_EMULATOR_HOST names; `none`: the real Pub/Sub.
    """

    def __init__(
        self, folder: Path, events: Topic, dead_letters: Topic, *flags: str, emulator: str = ""
    ) -> None:
        self.events = events
        self.dead_letters = dead_letters
        self._log = folder / f"collector-{uuid.uuid4().hex}.log"
        command = [sys.executable, "-m", "services.collector", f"--settings={SETTINGS}", "--port=0"]
        # a busy machine's emulator may need longer than the 8 s after which events get 503
        command.append(f"--publish_seconds={HANGS_AFTER_SECONDS}")
        command += [f"--events_topic={events.name}", f"--dead_letter_topic={dead_letters.name}", *flags]
        environment = dict(os.environ)
        if emulator:
            environment["PUBSUB_EMULATOR_HOST"] = "" if emulator == "none" else emulator
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        address = until(lambda: self._address() or self.process.poll() is not None, "collector")
        assert isinstance(address, str), self.log
        self.url = address
        self.client = httpx.Client(base_url=self.url, timeout=HANGS_AFTER_SECONDS)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def post(self, path: str, body: Any, key: str | None = SERVER, **options: Any) -> httpx.Response:
        """Posts a body; what is not bytes is sent as JSON, without a Content-Type, as its sender may forget it."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        auth: Any = None if key is None else httpx.BasicAuth(key, "")
        return self.client.post(path, content=content, auth=auth, **options)

    def published(self, user: str) -> list[dict[str, Any]]:
        """Returns the messages about a user, in the order in which they are taken."""
        messages = [json.loads(message.data) for message in self.events.taken()]
        return [
            message for message in messages if user in (message.get("userId"), message.get("anonymousId"))
        ]

    def letters(self, text: str) -> list[dict[str, Any]]:
        """Returns the dead letters in whose payload a text stands."""
        rows = [json.loads(message.data) for message in self.dead_letters.taken()]
        return [row for row in rows if text in row["payload"]]

    def metric(self, sample: str) -> float:
        """Returns a sample, such as `collector_responses_total{code="ok"}`; 0 if there is none yet."""
        text = self.client.get("/metrics").text
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Returns the exit status when the process has ended."""
        return self.process.wait(HANGS_AFTER_SECONDS)

    def kill(self) -> None:
        """Ends the process if it still runs."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def _address(self) -> str | None:
        found = re.search(r"listening on (http://\S+),", self.log)
        return found[1] if found else None


def new_user() -> str:
    return f"user-{uuid.uuid4().hex}"


def event(user: str, **fields: Any) -> dict[str, Any]:
    """Returns a track call, which happens now; a field that is None is left out."""
    message = {
        "type": "track",
        "messageId": uuid.uuid4().hex,
        "userId": user,
        "event": "Product Added",
        "timestamp": format_timestamp(now_ms()),
        **fields,
    }
    return {name: value for name, value in message.items() if value is not None}
