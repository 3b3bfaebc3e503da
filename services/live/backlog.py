"""How far the job of a live system is behind."""

import json
import re
import urllib.request
from pathlib import Path
from typing import NamedTuple

from stores.clock import Clock, system_clock_ms

_PUBLISHED = re.compile(r"^collector_events_published_total\{[^}]*\} (\S+)$", re.MULTILINE)
_TIMEOUT_SECONDS = 10
_BEHIND_AFTER_MS = 3000
_AGAIN_AFTER_MS = 10_000


class Waiting(NamedTuple):
    """What the job has not decided yet."""

    events: int
    """How many events wait. Events that were not published by the collector are not among them."""
    behind_ms: int
    """The age of the oldest of them, at most half a second too high."""
    decided: int
    """How many events the job has decided so far."""


class Backlog:
    """Compares what the collector has published with what the job has decided.

    Pub/Sub's emulator has no such figure. The job's status file has the number of decided events, and the publish time
    of the newest message among them; Pub/Sub's emulator delivers in order, so all that waits is younger. Heartbeats
    are messages too, so that time is recent while no event comes.

    Args:
      collector_url: the collector's URL.
      status_file: the job's status file: docs/live-run.md.
      clock: returns the processing time.
    """

    def __init__(self, collector_url: str, status_file: Path, clock: Clock = system_clock_ms) -> None:
        self._collector_url = collector_url
        self._status_file = status_file
        self._clock = clock
        self._published_elsewhere = 0

    def read(self) -> Waiting | None:
        """Returns what waits now; None as long as the job has not decided anything.

        Raises:
          OSError: the collector does not answer.
        """
        if not self._status_file.exists():
            return None
        status = json.loads(self._status_file.read_text())
        if status["newest_publish_time_ms"] is None:
            return None
        decided = status["events_decided"]
        published = self._published()  # read after `decided`, so that it includes all of those
        self._published_elsewhere = max(self._published_elsewhere, decided - published)
        behind_ms = max(self._clock() - status["newest_publish_time_ms"], 0)
        return Waiting(published + self._published_elsewhere - decided, behind_ms, decided)

    def _published(self) -> int:
        with urllib.request.urlopen(f"{self._collector_url}/metrics", timeout=_TIMEOUT_SECONDS) as answer:
            return sum(int(float(count)) for count in _PUBLISHED.findall(answer.read().decode()))


class BehindLines:
    """Says when the job is behind, every ten seconds while it is, and when it has caught up."""

    def __init__(self, clock: Clock = system_clock_ms) -> None:
        self._clock = clock
        self._said_at_ms: int | None = None

    def lines(self, waiting: Waiting) -> list[str]:
        """Returns the line to show now, if there is one."""
        now_ms = self._clock()
        if waiting.behind_ms < _BEHIND_AFTER_MS:
            if self._said_at_ms is None:
                return []
            self._said_at_ms = None
            return ["live: the job has caught up"]
        if self._said_at_ms is not None and now_ms - self._said_at_ms < _AGAIN_AFTER_MS:
            return []
        self._said_at_ms = now_ms
        age = f"{waiting.behind_ms / 1000:.0f} s"
        if waiting.events == 0:
            return [f"live: the job is behind: it took its last message {age} ago"]
        return [f"live: the job is behind: {_number(waiting.events)} not decided, the oldest for {age}"]


def _number(events: int) -> str:
    return "1 event is" if events == 1 else f"{events:,} events are"
