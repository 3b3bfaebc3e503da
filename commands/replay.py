"""The command `segments replay`: sends dead letters through the job again, when what refused them is mended."""

import argparse
import base64
import binascii
import concurrent.futures
import contextlib
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, InvalidArgument, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.flags.forms import ConfigError
from pipeline.flags.pubsub import require_topic, topic_of

_PARSED_BY = "ParseEvents"
_PULL_MESSAGES = 500
_PULL_SECONDS = 5
_PUBLISH_SECONDS = 60
_EMPTY_PULLS = 3
"""Pub/Sub may return nothing although something is there; so many times in a row, and it is the end."""
_FAILURES = (GoogleAPICallError, RetryError, GoogleAuthError, concurrent.futures.TimeoutError)


class ReplayError(RuntimeError):
    """Pub/Sub did not answer, or did not take a message; what was not taken stays where it was."""


@dataclasses.dataclass(frozen=True)
class Letter:
    """An event that was refused, as it was published."""

    payload: bytes
    attributes: dict[str, str]
    reason: str


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 where a flag is wrong, 1 where Pub/Sub ended it too early."""
    parser = argparse.ArgumentParser(
        prog="segments replay",
        description="Publishes dead letters to the events' topic again, as they first came, and only then acknowledges"
        " them. What arrives while it runs, rows that BigQuery refused, and what is no dead letter stay.",
    )
    add = parser.add_argument
    add(
        "--dead_letters_subscription",
        required=True,
        metavar="projects/P/subscriptions/S",
        help="Where dead letters wait.",
    )
    add("--events_topic", required=True, metavar="projects/P/topics/T", help="The topic that the job reads.")
    add("--reason", action="append", metavar="REASON", help="Only those; once for each reason. Default: all.")
    add("--dry_run", action="store_true", help="Count, by reason; publish and acknowledge nothing.")
    options = parser.parse_args(argv)
    try:
        require_topic("events_topic", options.events_topic)
        if topic_of(options.dead_letters_subscription, "dead_letters_subscription") == options.events_topic:
            raise ConfigError(
                "--dead_letters_subscription reads --events_topic itself: give that of the dead letters"
            )
        replay = Replay(
            options.dead_letters_subscription, options.events_topic, options.reason, dry_run=options.dry_run
        )
        replay.run(time.time())
    except (ConfigError, ReplayError) as error:
        print(f"segments replay: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


class Replay:
    """One replay, from a subscription of dead letters to a topic of events.

    At least once: what is published and cannot be acknowledged comes again, and the job drops repeats.

    Args:
      dead_letters: projects/P/subscriptions/S.
      events: projects/P/topics/T.
      reasons: those that are replayed; None: all.
      dry_run: count only.
    """

    def __init__(
        self, dead_letters: str, events: str, reasons: list[str] | None = None, *, dry_run: bool = False
    ) -> None:
        self._dead_letters = dead_letters
        self._events = events
        self._reasons = reasons
        self._dry_run = dry_run
        self._replayed: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._seen: set[str] = set()
        """Ids of messages that stay."""
        self._held: list[str] = []
        """What Pub/Sub keeps from other readers for us, by its acknowledgement ids."""

    def run(self, now_seconds: float) -> None:
        """Replays what was published before an instant, in seconds since 1970, and prints what became of it.

        Raises:
          ReplayError: Pub/Sub failed.
        """
        with pubsub_v1.SubscriberClient() as subscriber, pubsub_v1.PublisherClient() as publisher:
            try:
                for messages in self._pulls(subscriber):
                    self._take(subscriber, publisher, messages, now_seconds)
            except _FAILURES as error:
                raise ReplayError(
                    f"Pub/Sub failed ({type(error).__name__}): run it again for the rest"
                ) from None
            finally:
                self._release(subscriber)
                self._report()

    def _pulls(self, subscriber: Any) -> Iterator[list[Any]]:
        """Yields what the subscription holds, until it holds nothing that was not seen."""
        request = {"subscription": self._dead_letters, "max_messages": _PULL_MESSAGES}
        empty = 0
        while empty < _EMPTY_PULLS:
            messages = []
            with contextlib.suppress(DeadlineExceeded):
                response = subscriber.pull(request=request, retry=None, timeout=_PULL_SECONDS)
                messages = list(response.received_messages)
            self._held += [message.ack_id for message in messages]
            new = [message for message in messages if message.message.message_id not in self._seen]
            empty = 0 if new else empty + 1
            if new:
                yield new

    def _take(self, subscriber: Any, publisher: Any, messages: list[Any], now_seconds: float) -> None:
        letters = []
        for received in messages:
            message = received.message
            letter = read_letter(message.data)
            why = self._why_left(message, letter, now_seconds)
            if letter is not None and why is None:
                letters.append((received, letter))
            else:
                self._leave(message, why or "")
        if self._dry_run:
            self._seen |= {received.message.message_id for received, _ in letters}
            self._replayed.update(letter.reason for _, letter in letters)
        else:
            self._publish(subscriber, publisher, letters)

    def _why_left(self, message: Any, letter: Letter | None, now_seconds: float) -> str | None:
        if letter is None:
            return "no event's dead letter"
        if message.publish_time.timestamp() >= now_seconds:
            return "arrived since"  # what is refused again must not be replayed for ever
        if self._reasons is not None and letter.reason not in self._reasons:
            return letter.reason
        return None if letter.payload or letter.attributes else "empty"

    def _publish(self, subscriber: Any, publisher: Any, letters: list[tuple[Any, Letter]]) -> None:
        futures = [
            publisher.publish(self._events, letter.payload, **letter.attributes) for _, letter in letters
        ]
        accepted = set()
        try:
            for (received, letter), future in zip(letters, futures, strict=True):
                try:
                    future.result(_PUBLISH_SECONDS)
                except InvalidArgument:
                    self._leave(received.message, "refused by Pub/Sub")
                    continue
                accepted.add(received.ack_id)
                self._replayed[letter.reason] += 1
        finally:
            if accepted:
                request = {"subscription": self._dead_letters, "ack_ids": sorted(accepted)}
                subscriber.acknowledge(request=request)
                self._held = [ack_id for ack_id in self._held if ack_id not in accepted]

    def _leave(self, message: Any, why: str) -> None:
        self._seen.add(message.message_id)
        self._left[why] += 1

    def _release(self, subscriber: Any) -> None:
        """Lets the next reader have at once what stays; else it would have to wait for the deadline."""
        with contextlib.suppress(*_FAILURES):
            for start in range(0, len(self._held), _PULL_MESSAGES):
                ack_ids = self._held[start : start + _PULL_MESSAGES]
                request = {"subscription": self._dead_letters, "ack_ids": ack_ids, "ack_deadline_seconds": 0}
                subscriber.modify_ack_deadline(request=request)

    def _report(self) -> None:
        print(f"{self._replayed.total()} {'to replay' if self._dry_run else 'replayed'}{_by(self._replayed)}")
        if self._left:
            print(f"{self._left.total()} left{_by(self._left)}")


def read_letter(data: bytes) -> Letter | None:
    """Returns the event in a dead letter; None if it is no dead letter, or one of something else than an event."""
    try:
        row = orjson.loads(data)
        if row["step"] != _PARSED_BY:
            return None
        text = row["payload"]
        payload = base64.b64decode(text, validate=True) if row.get("encoding") == "base64" else text.encode()
        # Pub/Sub keeps names that begin so for itself, and lets nobody publish them.
        attributes = {name: value for name, value in row["attributes"].items() if not name.startswith("goog")}
        return Letter(payload, attributes, row["reason"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, binascii.Error):
        return None


def _by(counts: Counter[str]) -> str:
    return "".join(
        f"{': ' if index == 0 else ', '}{count} {what}"
        for index, (what, count) in enumerate(counts.most_common())
    )


if __name__ == "__main__":
    sys.exit(main())
