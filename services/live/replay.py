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


def replay_log(
    scheduled: Iterator[ScheduledMessage], client: Client, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Sends each message at its time; returns their number when the collector has answered for all of them."""
    sent = 0
    for sent, (message, send_at_ms, timestamp_ms) in enumerate(scheduled, 1):  # noqa: B007
        wait_ms = send_at_ms - time.time() * 1000
        if wait_ms > 0:
            sleep(wait_ms / 1000)
        while client.queue.full():  # the SDK drops a message if its queue is full
            sleep(0.01)
        _send(client, message, datetime.fromtimestamp(timestamp_ms / 1000, UTC))
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


def main(argv: Sequence[str] | None = None) -> int:
    """Replays a log; returns the exit status: 1 if the collector refused messages."""
    parser = argparse.ArgumentParser(prog="python -m services.live.replay", description=__doc__)
    parser.add_argument("log", type=Path, help="A gzipped log of JSON lines.")
    parser.add_argument("--speed", type=float, required=True, help="The seconds of the log that pass in 1 s.")
    parser.add_argument("--collector", required=True, metavar="URL", help="The collector's URL.")
    parser.add_argument("--write_key", required=True, help="The write key of one of its sources.")
    options = parser.parse_args(argv)
    refused: list[str] = []
    client = Client(
        options.write_key,
        host=options.collector,
        on_error=lambda error, batch: refused.append(f"{len(batch)} messages were refused: {error}"),
        gzip=True,
    )
    started = time.time()
    sent = replay_log(schedule_log(read_messages(options.log), options.speed, started * 1000), client)
    for refusal in refused:
        print(refusal, file=sys.stderr)
    print(f"{sent:,} messages of {options.log.name} sent in {time.time() - started:.0f} s", flush=True)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
