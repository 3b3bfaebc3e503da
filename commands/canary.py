"""The command `segments canary`: sends a synthetic profile through the live system, and times it.

It publishes one event, waits until Redis holds the profile, and then until time alone has taken the profile out of
its segment again. All instants are of this machine's clock, so that no two clocks are compared.
"""

import argparse
import concurrent.futures
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1
from redis.exceptions import RedisClusterException, RedisError

from pipeline.cloud_files import CloudFiles
from pipeline.config import ConfigError, redis_of, topic_in
from pipeline.flags.pubsub import require_topic
from pipeline.flags.redis import add_redis_flags
from segmentation.events import Event, parse_event
from segmentation.profile.replay import ProfileFold
from segmentation.rules.compiled import Rules
from segmentation.timestamps import format_timestamp
from stores.clock import Clock, system_clock_ms
from stores.definitions import DefinitionsError, read_definitions
from stores.redis.access import RedisTarget, access_to
from stores.redis.client import Fault, fault
from stores.secrets import SecretError
from stores.segments.reader import SegmentReader

SEGMENT = "canary"
EVENT = "Canary Checked"
PROFILE_PREFIX = "canary:"
"""Begins the id of every synthetic profile, so that counts can leave them out."""
PROFILES = 1000
"""They take turns, by chance: a new one for every check would stay in state and in Redis until it is forgotten."""
DEFINITION = f"""\
  {SEGMENT}:
    description: Synthetic profiles that check the live system; they have no user
    when: {{event: {EVENT}, within: 10s}}
"""
MAX_STAY_MS = 60_000
POLL_SECONDS = 0.05
_PUBLISH_SECONDS = 30


class CanaryError(Exception):
    """The check cannot go on; the message has no address and no password."""


class Held(NamedTuple):
    """What Redis holds of the synthetic profile."""

    updated_at_ms: int
    expires_at_ms: int | None
    """When its membership ends; None where it is no member."""


class Outcome(NamedTuple):
    """What a check has found. A figure is None where what it measures did not come."""

    event_to_redis_ms: int | None = None
    exit_lag_ms: int | None = None
    failure: str | None = None

    def line(self) -> str:
        """Returns one line of JSON, with the fields that Cloud Logging knows, and no profile in it."""
        passed = self.failure is None
        return json.dumps(
            {
                "severity": "INFO" if passed else "ERROR",
                "message": f"canary: {'passed' if passed else self.failure}",
                "canary": "passed" if passed else "failed",
                "event_to_redis_ms": self.event_to_redis_ms,
                "exit_lag_ms": self.exit_lag_ms,
            }
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 1 where something did not come, 2 where a flag is wrong."""
    flags = parser().parse_args(argv)
    try:
        target = redis_of(flags, may_hold_password=True)
        rules = read_definitions(flags.segments, CloudFiles()).rules
        events_topic = _events_topic(flags)
        payload = new_event(f"{PROFILE_PREFIX}{random.randrange(PROFILES)}", system_clock_ms())
        event = parse_event(payload)
        expires_at_ms = expected_exit_ms(rules, event)
    except (ConfigError, DefinitionsError) as error:
        print(f"segments canary: {error}", file=sys.stderr)
        return 2
    look = Look(target, flags.redis_key_prefix, event.profile_id)
    try:
        _publish(events_topic, payload)
        outcome = watch(
            event.timestamp_ms, expires_at_ms, look, flags.timeout_seconds * 1000, system_clock_ms, _pause
        )
    except CanaryError as error:
        outcome = Outcome(failure=str(error))
    print(outcome.line(), flush=True)
    return 0 if outcome.failure is None else 1


def new_event(profile_id: str, now_ms: int) -> bytes:
    """Returns the message of a synthetic profile that enters the canary's segment now."""
    return json.dumps(
        {
            "type": "track",
            "event": EVENT,
            "messageId": f"{PROFILE_PREFIX}{uuid.uuid4().hex}",
            "userId": profile_id,
            "timestamp": format_timestamp(now_ms),
        }
    ).encode()


def expected_exit_ms(rules: Rules, event: Event) -> int:
    """Returns when time alone takes the event's profile out of the canary's segment, by the definitions.

    Raises:
      ConfigError: the definitions have no such segment, or it does not end within a minute.
    """
    snapshot = ProfileFold(event.profile_id, rules).fold([event], event.timestamp_ms).snapshot
    membership = None if snapshot is None else snapshot.segments.get(SEGMENT)
    expires_at_ms = None if membership is None else membership.expires_at_ms
    if expires_at_ms is None or expires_at_ms - event.timestamp_ms > MAX_STAY_MS:
        raise ConfigError(
            f"--segments: the file needs a segment {SEGMENT} that the event {EVENT} enters, and that ends by time"
            f" alone within a minute. Add to its segments, and start the job with it:\n\n{DEFINITION}"
        )
    return expires_at_ms


def watch(
    sent_at_ms: int,
    expires_at_ms: int,
    look: Callable[[], Held | None],
    timeout_ms: int,
    clock: Clock,
    pause: Callable[[], None],
) -> Outcome:
    """Waits for a profile to be in Redis, and for its exit; returns how long both took.

    Where the event takes longer than the profile's stay, Redis never shows the membership. The profile's own clock
    then tells that the event has come and the exit too, and both figures are right all the same.

    Args:
      sent_at_ms: the event's timestamp.
      expires_at_ms: when the membership should end.
      look: reads what Redis holds of the profile now.
      timeout_ms: for how long to wait for each of the two, after the instant at which it is due.
      clock: the time in milliseconds since the epoch.
      pause: lets some time pass between two looks.

    Raises:
      CanaryError: as `look` does.
    """

    def until(due_ms: int, found: Callable[[Held], bool]) -> Held | None:
        while True:
            held = look()
            if held is not None and found(held):
                return held
            if clock() >= due_ms + timeout_ms:
                return None
            pause()

    arrived = until(sent_at_ms, lambda held: held.updated_at_ms >= sent_at_ms)
    if arrived is None:
        return Outcome(failure=f"the event was not in Redis within {timeout_ms / 1000:g} s")
    event_to_redis_ms = clock() - sent_at_ms
    if arrived.expires_at_ms is not None:
        expires_at_ms = arrived.expires_at_ms
    elif arrived.updated_at_ms < expires_at_ms:
        failure = (
            f"the event came to Redis, but not into the segment {SEGMENT}: the job runs other definitions"
        )
        return Outcome(event_to_redis_ms, failure=failure)
    left = until(
        expires_at_ms, lambda held: held.updated_at_ms >= expires_at_ms and held.expires_at_ms is None
    )
    if left is None:
        failure = f"{timeout_ms / 1000:g} s after its end the membership still stood in Redis, or the profile was gone"
        return Outcome(event_to_redis_ms, failure=failure)
    return Outcome(event_to_redis_ms, exit_lag_ms=clock() - expires_at_ms)


class Look:
    """Reads what Redis holds of one profile; a fault that may pass counts as nothing."""

    def __init__(self, target: RedisTarget, key_prefix: str, profile_id: str) -> None:
        self._access = access_to(target)
        self._key_prefix = key_prefix
        self._profile_id = profile_id
        self._mended: set[str] = set()

    def __call__(self) -> Held | None:
        """Returns what Redis holds; None if it holds nothing, or does not answer right now.

        Raises:
          CanaryError: Redis cannot be used, or a secret cannot be read.
        """
        try:
            stored = SegmentReader(self._access.client(), self._key_prefix).memberships(self._profile_id)
        except SecretError as error:
            raise CanaryError(str(error)) from None
        except (RedisError, RedisClusterException, OSError) as error:
            self._recover(fault(error))
            return None
        if stored is None:
            return None
        membership = stored.segments.get(SEGMENT)
        return Held(stored.updated_at_ms, None if membership is None else membership.expires_at_ms)

    def _recover(self, found: Fault) -> None:
        """Prepares the next look; what does not pass by itself is mended once, such as by a secret's new version."""
        is_lasting = not found.transient and found.code in self._mended
        if is_lasting or not self._access.recover(found):
            raise CanaryError(f"Redis cannot be used: {found}")
        self._mended.add(found.code)


def _events_topic(flags: argparse.Namespace) -> str:
    topic = topic_in(flags, "events_topic")
    if topic is None:
        raise ConfigError("--events_topic is empty")
    require_topic("events_topic", topic)
    return topic


def _publish(topic: str, payload: bytes) -> None:
    client = pubsub_v1.PublisherClient()
    try:
        client.publish(topic, payload).result(_PUBLISH_SECONDS)
    except (GoogleAPIError, GoogleAuthError, concurrent.futures.TimeoutError) as error:
        raise CanaryError(f"the events topic did not take the event ({type(error).__name__})") from None
    finally:
        client.stop()
        client.transport.close()


def _pause() -> None:
    time.sleep(POLL_SECONDS)


def _seconds(text: str) -> int:
    seconds = int(text)
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"give 1 to 3600 whole seconds, not {text}")
    return seconds


def parser() -> argparse.ArgumentParser:
    """Returns what reads the command's flags."""
    reader = argparse.ArgumentParser(
        prog="segments canary",
        description="Sends a synthetic profile through the live system, and prints one line of JSON: how long its"
        " event took to Redis, and how late time alone took it out again. Exit status 1: something did not come.",
        allow_abbrev=False,
    )
    add = reader.add_argument
    topic = "The topic that the job's subscription is of."
    add("--events_topic", metavar="projects/P/topics/T", required=True, help=topic)
    add("--segments", metavar="FILE", required=True, help="The definitions that the job runs with.")
    add_redis_flags(reader, required=True)
    add(
        "--timeout_seconds",
        metavar="SECONDS",
        type=_seconds,
        default=60,
        help="How long to wait for the event, and again for the exit once it is due. Default: 60",
    )
    return reader


if __name__ == "__main__":
    sys.exit(main())
