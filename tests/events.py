"""Makes events and messages for tests, with only what the test is about."""

from typing import Any

import orjson

from segmentation.events import Event, parse_event
from segmentation.timestamps import format_timestamp

START_MS = 1_772_452_800_000
"""2026-03-02T12:00:00.000Z: tests count seconds from here."""


def message(
    seconds: float, name: str, user: str = "u1", message_id: str = "", **properties: Any
) -> dict[str, Any]:
    """Returns a track message, or, for a name such as `$page`, another call."""
    body: dict[str, Any] = {
        "type": name.removeprefix("$") if name.startswith("$") else "track",
        "messageId": message_id or f"{user}-{seconds}-{name}",
        "userId": user,
        "timestamp": format_timestamp(START_MS + round(seconds * 1000)),
    }
    if not name.startswith("$"):
        body["event"] = name
    body["traits" if name == "$identify" else "properties"] = properties
    return body


def payload(*args: Any, **kwargs: Any) -> bytes:
    """Returns `message` as JSON."""
    return orjson.dumps(message(*args, **kwargs))


def event(*args: Any, **kwargs: Any) -> Event:
    """Returns `message` as an accepted event."""
    return parse_event(payload(*args, **kwargs))
