"""The command `segments replay`: sends dead letters through the job again, after the cause is fixed."""

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
from segmentation.printable import printable
from stores.terminal import printable_output

_PARSED_BY = "ParseEvents"
_PULL_MESSAGES = 500
_PULL_SECONDS = 5
_PUBLISH_SECONDS = 60
_EMPTY_PULLS = 3
"""The number of empty pulls in a row that end a replay. One pull can be empty although messages wait."""
_FAILURES = (GoogleAPICallError, RetryError, GoogleAuthError, concurrent.futures.TimeoutError)


class ReplayError(RuntimeError):
    """Pub/Sub did not answer, or rejected a message. Messages that were not published stay in the subscription."""


@dataclasses.dataclass(frozen=True)
class Letter:
    """A dead letter: the rejected message as it was published."""

    payload: bytes
    attributes: dict[str, str]
    reason: str


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Returns the exit status: 2 if a flag is wrong, 1 if Pub/Sub failed."""
    parser = argparse.ArgumentParser(
        prog="segments replay",
        description="Publishes dead letters to the events topic again, in their original form, and then acknowledges"
        " them. Messages that arrive while it runs, rows that BigQuery rejected, and other messages stay.",
    )
    add = parser.add_argument
    add(
        "--dead_letters_subscription",
        required=True,
        metavar="projects/P/subscriptions/S",
        help="The subscription with the dead letters.",
    )
    add("--events_topic", required=True, metavar="projects/P/topics/T", help="The topic that the job reads.")
    add(
        "--reason",
        action="append",
        metavar="REASON",
        help="Replay only dead letters with this reason; repeatable. Default: all.",
    )
    add("--dry_run", action="store_true", help="Count by reason; publish and acknowledge nothing.")
    options = parser.parse_args(argv)
    try:
        require_topic("events_topic", options.events_topic)
        if topic_of(options.dead_letters_subscription, "dead_letters_subscription") == options.events_topic:
            raise ConfigError(
                "--dead_letters_subscription reads --events_topic itself: give that of the dead letters"
            )
        replay = DeadLetterReplay(
            options.dead_letters_subscription, options.events_topic, options.reason, dry_run=options.dry_run
        )
        replay.run(time.time())
    except (ConfigError, ReplayError) as error:
        print(f"segments replay: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


class DeadLetterReplay:
    """Replays dead letters from a subscription to the events topic.

    At least once: a message that cannot be acknowledged is published again later. The job drops repeats.

    Args:
      dead_letters: the subscription, projects/P/subscriptions/S.
      events: the topic, projects/P/topics/T.
      reasons: the reasons to replay; None replays all.
      dry_run: whether to only count.
    """

    def __init__(
        self, dead_letters: str, events: str, reasons: list[str] | None = None, *, dry_run: bool = False
    ) -> None:
        self._dead_letters = dead_letters
        self._events = events
        self._reasons = reasons
        self._dry_run = dry_run
        self._replayed: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._seen: set[str] = set()
        """The Pub/Sub ids of messages that stay in the subscription."""
        self._held: list[str] = []
        """The acknowledgement ids of pulled messages, which other readers do not get meanwhile."""

    def run(self, now_seconds: float) -> None:
        """Replays the dead letters that were published before an instant, and prints the counts.

        Args:
          now_seconds: the instant in Unix seconds.

        Raises:
          ReplayError: Pub/Sub failed.
        """
        with pubsub_v1.SubscriberClient() as subscriber, pubsub_v1.PublisherClient() as publisher:
            try:
                for messages in self._pulls(subscriber):
                    self._handle(subscriber, publisher, messages, now_seconds)
            except _FAILURES as error:
                raise ReplayError(
                    f"Pub/Sub failed ({type(error).__name__}): run it again for the rest"
                ) from None
            finally:
                self._release(subscriber)
                self._report()

    def _pulls(self, subscriber: Any) -> Iterator[list[Any]]:
        """Yields the subscription's new messages, until several pulls in a row return none."""
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

    def _handle(self, subscriber: Any, publisher: Any, messages: list[Any], now_seconds: float) -> None:
        letters = []
        for received in messages:
            message = received.message
            letter = read_letter(message.data)
            reason = self._reason_to_skip(message, letter, now_seconds)
            if letter is not None and reason is None:
                letters.append((received, letter))
            else:
                self._skip(message, reason or "")
        if self._dry_run:
            self._seen |= {received.message.message_id for received, _ in letters}
            self._replayed.update(letter.reason for _, letter in letters)
        else:
            self._publish(subscriber, publisher, letters)

    def _reason_to_skip(self, message: Any, letter: Letter | None, now_seconds: float) -> str | None:
        if letter is None:
            return "no event's dead letter"
        if message.publish_time.timestamp() >= now_seconds:
            return (
                "arrived since"  # otherwise a dead letter that is rejected again would be replayed endlessly
            )
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
                    self._skip(received.message, "refused by Pub/Sub")
                    continue
                accepted.add(received.ack_id)
                self._replayed[letter.reason] += 1
        finally:
            if accepted:
                request = {"subscription": self._dead_letters, "ack_ids": sorted(accepted)}
                subscriber.acknowledge(request=request)
                self._held = [ack_id for ack_id in self._held if ack_id not in accepted]

    def _skip(self, message: Any, reason: str) -> None:
        self._seen.add(message.message_id)
        self._skipped[reason] += 1

    def _release(self, subscriber: Any) -> None:
        """Releases the messages that stay, so that the next reader need not wait for their deadline."""
        with contextlib.suppress(*_FAILURES):
            for start in range(0, len(self._held), _PULL_MESSAGES):
                ack_ids = self._held[start : start + _PULL_MESSAGES]
                request = {"subscription": self._dead_letters, "ack_ids": ack_ids, "ack_deadline_seconds": 0}
                subscriber.modify_ack_deadline(request=request)

    def _report(self) -> None:
        print(f"{self._replayed.total()} {'to replay' if self._dry_run else 'replayed'}{_by(self._replayed)}")
        if self._skipped:
            print(f"{self._skipped.total()} left{_by(self._skipped)}")


def read_letter(data: bytes) -> Letter | None:
    """Returns the rejected message in a dead letter; None if this is not the dead letter of a message."""
    try:
        row = orjson.loads(data)
        if row["step"] != _PARSED_BY:
            return None
        text = row["payload"]
        payload = base64.b64decode(text, validate=True) if row.get("encoding") == "base64" else text.encode()
        # Pub/Sub reserves these names and rejects messages with them.
        attributes = {name: value for name, value in row["attributes"].items() if not name.startswith("goog")}
        return Letter(payload, attributes, row["reason"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, binascii.Error):
        return None


def _by(counts: Counter[str]) -> str:
    return "".join(
        f"{': ' if index == 0 else ', '}{count} {printable(what)}"
        for index, (what, count) in enumerate(counts.most_common())
    )


if __name__ == "__main__":
    sys.exit(main())
