"""What happens in the live system, as readable lines: changes of membership, and dead letters."""

import base64
import json
import urllib.request
from typing import Any

import redis

from stores.segments.keys import DEFAULT_KEY_PREFIX
from stores.segments.reader import SegmentReader

_CHANGES_AT_ONCE = 1000
_TIMEOUT_SECONDS = 10


class Changes:
    """The changes of membership in a Redis stream, from its beginning on.

    Args:
      url: the Redis.
      key_prefix: begins its keys.
    """

    def __init__(self, url: str, key_prefix: str = DEFAULT_KEY_PREFIX) -> None:
        self._client = redis.Redis.from_url(url, protocol=2)
        self._reader = SegmentReader(self._client, key_prefix)
        self._last = "0"

    def lines(self, wait_ms: int) -> list[str]:
        """Returns new changes, each as a line; waits for the first of them at most so long."""
        entries = self._reader.changes_after(self._last, _CHANGES_AT_ONCE, wait_ms)
        if entries:
            self._last = entries[-1][0]
        return [change_line(fields) for _, fields in entries]

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def change_line(fields: dict[str, str]) -> str:
    """Returns a change as a line, such as `12:00:00  ada  entered  visitor  until 2026-03-02 12:30:00`."""
    line = (
        f"{_time(fields['event_time'])[11:]}  {fields['profile_id']}  {fields['change']}  {fields['segment']}"
    )
    expires_at = fields.get("expires_at")
    return f"{line}  until {_time(expires_at)}" if expires_at else line


def _time(timestamp: str) -> str:
    return timestamp[:19].replace("T", " ")


class DeadLetters:
    """The dead letters in a subscription of the Pub/Sub emulator.

    Args:
      emulator: a value of PUBSUB_EMULATOR_HOST.
      subscription: projects/P/subscriptions/S.
    """

    def __init__(self, emulator: str, subscription: str) -> None:
        self._address = f"http://{emulator}/v1/{subscription}"

    def take(self) -> list[dict[str, Any]]:
        """Returns the dead letters that came since the last time."""
        answer = post(f"{self._address}:pull", {"maxMessages": 100, "returnImmediately": True})
        received = answer.get("receivedMessages", [])
        if received:
            post(f"{self._address}:acknowledge", {"ackIds": [message["ackId"] for message in received]})
        return [json.loads(base64.b64decode(message["message"]["data"])) for message in received]


def dead_letter_line(letter: dict[str, Any]) -> str:
    """Returns a dead letter as a line."""
    return f"{_time(letter['received_at'])[11:]}  dead letter  {letter['reason']}  {letter['message']}"


def post(address: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
    """Sends a JSON object to the emulator, and returns its answer.

    Raises:
      OSError: it refuses, or does not answer.
    """
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        return dict(json.load(answer))
