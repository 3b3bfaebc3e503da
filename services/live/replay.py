"""Replays a log to the collector through Segment's Python SDK, faster than it happened, as if it began now."""

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


class Due(NamedTuple):
    """A message of a log, and when it is to be sent."""

    message: dict[str, Any]
    send_at_ms: float
    timestamp_ms: float
    """When it happens, in the replay."""


def schedule(messages: Iterator[dict[str, Any]], speed: float, start_ms: float) -> Iterator[Due]:
    """Yields messages in their order, with times that pass `speed` times as fast as in the log, from `start_ms` on.

    What was delivered late is late in the replay too: a message is sent when the log received it.
    """
    first_ms: int | None = None
    for message in messages:
        happened_ms = parse_timestamp(message["timestamp"])
        received_ms = parse_timestamp(message.get("receivedAt") or message["timestamp"])
        if first_ms is None:
            first_ms = received_ms
        yield Due(
            message,
            start_ms + (received_ms - first_ms) / speed,
            start_ms + (happened_ms - first_ms) / speed,
        )


def replay(due: Iterator[Due], client: Client, sleep: Callable[[float], None] = time.sleep) -> int:
    """Sends messages when they are due; returns how many, when the collector has taken them."""
    sent = 0
    for sent, (message, send_at_ms, timestamp_ms) in enumerate(due, 1):  # noqa: B007
        wait_ms = send_at_ms - time.time() * 1000
        if wait_ms > 0:
            sleep(wait_ms / 1000)
        while client.queue.full():  # the SDK would drop it
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
    """Runs the replay; returns the exit status: 1 where the collector refused something."""
    parser = argparse.ArgumentParser(prog="python -m services.live.replay", description=__doc__)
    parser.add_argument("log", type=Path, help="A gzipped log of JSON lines.")
    parser.add_argument("--speed", type=float, required=True, help="How many seconds of it pass in one.")
    parser.add_argument("--collector", required=True, metavar="URL", help="Where the collector listens.")
    parser.add_argument("--write_key", required=True, help="Of one of its sources.")
    options = parser.parse_args(argv)
    refused: list[str] = []
    client = Client(
        options.write_key,
        host=options.collector,
        on_error=lambda error, batch: refused.append(f"{len(batch)} messages were refused: {error}"),
        gzip=True,
    )
    began = time.time()
    sent = replay(schedule(read_messages(options.log), options.speed, began * 1000), client)
    for refusal in refused:
        print(refusal, file=sys.stderr)
    print(f"{sent:,} messages of {options.log.name} sent in {time.time() - began:.0f} s", flush=True)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
