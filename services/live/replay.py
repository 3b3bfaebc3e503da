"""Replays a log: sends its messages to the collector through Segment's Python SDK, as if the log began now.

The replay can be faster than the log. Dead letters are replayed by commands/replay.py.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from segment.analytics.client import Client

from segmentation.timestamps import parse_timestamp
from services.live.backlog import Backlog, Waiting
from stores.clock import Clock, system_clock_ms
from stores.terminal import printable_output

_MAX_WAITING = 200
"""The most events that wait for the job: one to two seconds on a small machine, and enough for 500 events a second,
since the count of decided events is up to 0.4 s old."""
_MESSAGES_PER_LOOK = 20
_HOLD_SECONDS = 0.1
_RATE_SECONDS = 5


class ScheduledMessage(NamedTuple):
    """A message of a log, and its times in the replay, in Unix milliseconds."""

    message: dict[str, Any]
    send_at_ms: float
    timestamp_ms: float
    """The event time."""


def schedule_log(
    messages: Iterator[dict[str, Any]], speed: float, start_ms: float
) -> Iterator[ScheduledMessage]:
    """Yields the messages of a log in order; their times begin at `start_ms` and pass at `speed` times the log's pace.

    A message is sent at its `receivedAt`, so a late message is late in the replay too.
    """
    first_ms: int | None = None
    for message in messages:
        happened_ms = parse_timestamp(message["timestamp"])
        received_ms = parse_timestamp(message.get("receivedAt") or message["timestamp"])
        if first_ms is None:
            first_ms = received_ms
        yield ScheduledMessage(
            message,
            start_ms + (received_ms - first_ms) / speed,
            start_ms + (happened_ms - first_ms) / speed,
        )


class Brake:
    """Holds a replay while the job is behind, so that events do not pile up.

    Args:
      read_waiting: returns what the job has not decided; None if that is not known yet.
      unsent: returns how many messages the SDK has not sent.
      say: shows a line.
      sleep: waits for seconds.
      clock: returns the processing time.
    """

    def __init__(
        self,
        read_waiting: Callable[[], Waiting | None],
        unsent: Callable[[], int],
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Clock = system_clock_ms,
    ) -> None:
        self._read_waiting = read_waiting
        self._unsent = unsent
        self._say = say
        self._sleep = sleep
        self._clock = clock
        self._first: tuple[int, int] | None = None
        self._has_spoken = False
        self.held_ms = 0
        """How long the replay was held so far."""

    def hold(self) -> bool:
        """Waits until few events wait for the job; returns whether it had to."""
        started_ms, has_waited = self._clock(), False
        while (waiting := self._read_waiting()) is None or waiting.events + self._unsent() > _MAX_WAITING:
            self._sleep(_HOLD_SECONDS)
            has_waited = True
            if waiting is not None:
                self._note_rate(waiting)
        if has_waited:
            self.held_ms += self._clock() - started_ms
        return has_waited

    def _note_rate(self, waiting: Waiting) -> None:
        """Says once how many events a second the job decides, when that has been seen for a few seconds."""
        now_ms = self._clock()
        if self._first is None:
            self._first = now_ms, waiting.decided
        seconds = (now_ms - self._first[0]) / 1000
        if not self._has_spoken and seconds >= _RATE_SECONDS:
            self._has_spoken = True
            rate = (waiting.decided - self._first[1]) / seconds
            self._say(f"slowed down: the job decides about {rate:.0f} events a second on this machine")


def replay_log(
    scheduled: Iterator[ScheduledMessage],
    client: Client,
    brake: Brake,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Sends each message at its time; returns their number when the collector has answered for all of them.

    When the brake holds the replay, all later times shift: time passes more slowly in the replay, and no event is late
    because of it.
    """
    sent, shift_ms = 0, 0.0
    for sent, (message, send_at_ms, timestamp_ms) in enumerate(scheduled, 1):
        wait_ms = send_at_ms + shift_ms - time.time() * 1000
        if wait_ms > 0:
            sleep(wait_ms / 1000)
        if sent % _MESSAGES_PER_LOOK == 1 and brake.hold():
            shift_ms = max(shift_ms, time.time() * 1000 - send_at_ms)
        _send(client, message, datetime.fromtimestamp((timestamp_ms + shift_ms) / 1000, UTC))
    client.flush()
    client.join()
    return sent


def _send(client: Client, message: dict[str, Any], timestamp: datetime) -> None:
    common: dict[str, Any] = {
        "user_id": message.get("userId"),
        "context": message.get("context"),
        "timestamp": timestamp,
        "message_id": message["messageId"],
    }
    anonymous = {"anonymous_id": message.get("anonymousId")}
    properties, traits = message.get("properties"), message.get("traits")
    match message["type"]:
        case "track":
            client.track(event=message["event"], properties=properties, **anonymous, **common)
        case "page" | "screen" as call:
            named = {"category": message.get("category"), "name": message.get("name")}
            getattr(client, call)(properties=properties, **named, **anonymous, **common)
        case "identify":
            client.identify(traits=traits, **anonymous, **common)
        case "group":
            client.group(group_id=message.get("groupId"), traits=traits, **anonymous, **common)
        case "alias":
            client.alias(previous_id=message.get("previousId"), **common)


def read_messages(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the messages of a gzipped log."""
    with gzip.open(path) as lines:
        for line in lines:
            yield json.loads(line)


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Replays a log; returns the exit status: 1 if the collector refused messages."""
    parser = argparse.ArgumentParser(prog="python -m services.live.replay", description=__doc__)
    parser.add_argument("log", type=Path, help="A gzipped log of JSON lines.")
    parser.add_argument("--speed", type=float, required=True, help="The seconds of the log that pass in 1 s.")
    parser.add_argument("--collector", required=True, metavar="URL", help="The collector's URL.")
    parser.add_argument("--status_file", type=Path, required=True, help="The job's status file.")
    parser.add_argument("--write_key", required=True, help="The write key of one of its sources.")
    options = parser.parse_args(argv)
    refused: list[str] = []
    client = Client(
        options.write_key,
        host=options.collector,
        on_error=lambda error, batch: refused.append(f"{len(batch)} messages were refused: {error}"),
        gzip=True,
    )
    brake = Brake(Backlog(options.collector, options.status_file).read, client.queue.qsize, _say)
    started = time.time()
    scheduled = schedule_log(read_messages(options.log), options.speed, started * 1000)
    sent = replay_log(scheduled, client, brake)
    for refusal in refused:
        print(refusal, file=sys.stderr)
    slower = f", of which {brake.held_ms / 1000:.0f} s waiting for the job" if brake.held_ms > 1000 else ""
    _say(f"{sent:,} messages of {options.log.name} sent in {time.time() - started:.0f} s{slower}")
    return 1 if refused else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
