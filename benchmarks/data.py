"""The benchmarks' input: the log of views, repeated under new ids."""

import gzip
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from segmentation.events import Event, parse_event

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "data" / "shop_views_2019-10-01.jsonl.gz"
SEED = 20191001
_IDS = ("messageId", "userId", "anonymousId")


def repeated_lines(count: int) -> Iterator[bytes]:
    """Yields lines of the log and of copies of it, merged by time.

    Each copy has user ids, anonymous ids and message ids of its own, and the same timestamps. The last
    copy ends where the count is reached.
    """
    with gzip.open(LOG) as log:
        lines = [line.rstrip(b"\n") for line in log]
    whole_copies, rest = divmod(count, len(lines))
    for position, line in enumerate(lines):
        message = orjson.loads(line)
        for copy in range(whole_copies + (position < rest)):
            yield orjson.dumps(_under_new_ids(message, copy))


@cache
def repeated_events(count: int) -> tuple[Event, ...]:
    """Returns the events of `repeated_lines`."""
    return tuple(map(parse_event, repeated_lines(count)))


def spread_events(count: int, users: int) -> tuple[Event, ...]:
    """Returns the events of `repeated_lines`, each assigned to one of `users` users at random."""
    chance = random.Random(SEED)
    messages = map(orjson.loads, repeated_lines(count))
    lines = (orjson.dumps({**message, "userId": f"user-{chance.randrange(users)}"}) for message in messages)
    return tuple(map(parse_event, lines))


def rules_text() -> str:
    """Returns this shop's definitions: the ten segments."""
    return (ROOT / "definitions" / "segments.yaml").read_text(encoding="utf-8")


def _under_new_ids(message: dict[str, Any], copy: int) -> dict[str, Any]:
    return {field: f"{value}-{copy}" if field in _IDS else value for field, value in message.items()}
