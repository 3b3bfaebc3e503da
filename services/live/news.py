"""Reads membership changes and dead letters of the live system, and formats them as lines."""

import base64
import json
import urllib.request
from typing import Any

import redis

from segmentation.printable import printable
from segmentation.timestamps import format_timestamp
from stores.clock import Clock, system_clock_ms
from stores.segments.keys import DEFAULT_KEY_PREFIX
from stores.segments.reader import SegmentReader

_MAX_CHANGES = 1000
_TIMEOUT_SECONDS = 10


class Changes:
    """Reads the membership changes in a Redis stream, from its first entry on.

    Args:
      url: the URL of Redis.
      key_prefix: the prefix of all keys.
      clock: returns the processing time.
    """

    def __init__(
        self, url: str, key_prefix: str = DEFAULT_KEY_PREFIX, clock: Clock = system_clock_ms
    ) -> None:
        self._clock = clock
        self._client = redis.Redis.from_url(url, protocol=2)
        self._reader = SegmentReader(self._client, key_prefix)
        self._last_id = "0"

    def lines(self, wait_ms: int) -> list[str]:
        """Returns a line for each new change; waits at most `wait_ms` for the first one."""
        entries = self._reader.changes_after(self._last_id, _MAX_CHANGES, wait_ms)
        if entries:
            self._last_id = entries[-1][0]
        today = format_timestamp(self._clock())[:10]
        return [change_line(fields, today) for _, fields in entries]

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def change_line(fields: dict[str, str], today: str) -> str:
    """Formats a change, such as `12:00:00  ada  entered  visitor  until 2026-03-02 12:30:00`.

    Args:
      fields: the change.
      today: the date of today in UTC, such as 2026-03-02; an event time on another date is shown with its date.
    """
    at = _short_time(fields["event_time"], today)
    line = f"{at}  {printable(fields['profile_id'])}  {fields['change']}  {printable(fields['segment'])}"
    expires_at = fields.get("expires_at")
    return f"{line}  until {_time(expires_at)}" if expires_at else line


def _short_time(timestamp: str, today: str) -> str:
    return _time(timestamp).removeprefix(f"{today} ")


def _time(timestamp: str) -> str:
    return timestamp[:19].replace("T", " ")


class DeadLetters:
    """Pulls dead letters from a subscription of the Pub/Sub emulator.

    Args:
      emulator: HOST:PORT, the value of PUBSUB_EMULATOR_HOST.
      subscription: projects/P/subscriptions/S.
    """

    def __init__(self, emulator: str, subscription: str) -> None:
        self._address = f"http://{emulator}/v1/{subscription}"

    def take(self) -> list[dict[str, Any]]:
        """Returns and acknowledges up to 100 new dead letters."""
        return [json.loads(base64.b64decode(message["data"])) for message in pull(self._address, 100)]


def dead_letter_line(letter: dict[str, Any]) -> str:
    """Formats a dead letter."""
    reason, message = printable(letter["reason"]), printable(letter["message"])
    return f"{_time(letter['received_at'])[11:]}  dead letter  {reason}  {message}"


def pull(subscription: str, most: int) -> list[dict[str, Any]]:
    """Returns and acknowledges messages of a subscription of the emulator; none if there are none now.

    Args:
      subscription: its address at the emulator.
      most: how many to take at most.

    Raises:
      OSError: the response is an error, or there is none.
    """
    answer = post(f"{subscription}:pull", {"maxMessages": most, "returnImmediately": True})
    received = answer.get("receivedMessages", [])
    if received:
        post(f"{subscription}:acknowledge", {"ackIds": [message["ackId"] for message in received]})
    return [message["message"] for message in received]


def post(address: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
    """Sends a JSON object to the emulator, and returns the response.

    Raises:
      OSError: the response is an error, or there is none.
    """
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        return dict(json.load(answer))
