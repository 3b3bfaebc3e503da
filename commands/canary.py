"""The command `segments canary`: sends a synthetic profile through the live system, and measures how long it takes.

It publishes one event, waits until the profile is in Redis, and then until time alone ends the profile's membership.
All times are measured with this machine's clock.
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
from pipeline.config import redis_target_from, topic_from
from pipeline.flags.forms import ConfigError
from pipeline.flags.pubsub import require_topic
from pipeline.flags.redis import add_redis_flags, with_flag
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
from stores.terminal import printable_output

SEGMENT = "canary"
EVENT = "Canary Checked"
PROFILE_PREFIX = "canary:"
"""The start of every synthetic profile's id, so that statistics can exclude them."""
PROFILES = 1000
"""Each check uses one of them at random, because a new profile per check would fill the state and Redis."""
DEFINITION = f"""\
  {SEGMENT}:
    description: Synthetic profiles that check the live system; they have no user
    when: {{event: {EVENT}, within: 10s}}
"""
MAX_STAY_MS = 60_000
POLL_SECONDS = 0.05
_PUBLISH_SECONDS = 30


class CanaryError(Exception):
    """The check cannot continue. The message has no address and no password."""


class StoredProfile(NamedTuple):
    """The synthetic profile as Redis stores it."""

    version: int
    updated_at_ms: int | None
    """The profile time of the snapshot; None if only the version is left, because the profile says nothing any more."""
    expires_at_ms: int | None
    """When the membership ends; None if the profile is not in the segment."""


class CanaryResult(NamedTuple):
    """The result of a check. A figure is None if the event or the exit did not arrive."""

    event_to_redis_ms: int | None = None
    exit_lag_ms: int | None = None
    failure: str | None = None

    def line(self) -> str:
        """Returns one line of JSON with the fields that Cloud Logging reads. It does not contain the profile."""
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


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Returns the exit status: 1 if the event or the exit did not arrive, 2 if a flag is wrong."""
    flags = parser().parse_args(argv)
    try:
        target = redis_target_from(flags, may_hold_password=True)
        rules = read_definitions(flags.segments, CloudFiles()).rules
        events_topic = _events_topic(flags)
        payload = new_event(f"{PROFILE_PREFIX}{random.randrange(PROFILES)}", system_clock_ms())
        event = parse_event(payload)
        expires_at_ms = expected_exit_ms(rules, event)
    except (ConfigError, DefinitionsError) as error:
        print(f"segments canary: {error}", file=sys.stderr)
        return 2
    read_profile = ProfileReader(target, flags.redis_key_prefix, event.profile_id)
    try:
        before = read_profile()
        _publish(events_topic, payload)
        result = watch(
            event.timestamp_ms,
            expires_at_ms,
            before,
            read_profile,
            flags.timeout_seconds * 1000,
            system_clock_ms,
            _pause,
        )
    except CanaryError as error:
        result = CanaryResult(failure=str(error))
    print(result.line(), flush=True)
    return 0 if result.failure is None else 1


def new_event(profile_id: str, now_ms: int) -> bytes:
    """Returns a message by which a synthetic profile enters the canary's segment now."""
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
    """Returns when the membership of the event's profile ends by time alone, in Unix milliseconds.

    Raises:
      ConfigError: the definitions lack the canary's segment, or a membership lasts longer than a minute.
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
    before: StoredProfile | None,
    read_profile: Callable[[], StoredProfile | None],
    timeout_ms: int,
    clock: Clock,
    pause: Callable[[], None],
) -> CanaryResult:
    """Waits until a profile is in Redis, then until its membership has ended; returns how long both took.

    If the event takes longer than the membership lasts, Redis never has the membership. The profile time in Redis, or a
    newer version alone, then shows that the event and the exit were processed, so both figures are still right.

    Args:
      sent_at_ms: the event's timestamp.
      expires_at_ms: when the membership should end.
      before: the profile in Redis before the event was sent; None if there was none.
      read_profile: reads the profile from Redis.
      timeout_ms: how long to wait for the event after it was sent, and for the exit after `expires_at_ms`.
      clock: returns the time in Unix milliseconds.
      pause: waits between two calls of `read_profile`.

    Raises:
      CanaryError: `read_profile` raised it.
    """

    def until(due_ms: int, found: Callable[[StoredProfile], bool]) -> StoredProfile | None:
        while True:
            held = read_profile()
            if held is not None and found(held):
                return held
            if clock() >= due_ms + timeout_ms:
                return None
            pause()

    def has_reached(held: StoredProfile, instant_ms: int) -> bool:
        if held.updated_at_ms is None:
            return before is None or held.version > before.version
        return held.updated_at_ms >= instant_ms

    arrived = until(sent_at_ms, lambda held: has_reached(held, sent_at_ms))
    if arrived is None:
        return CanaryResult(failure=f"the event was not in Redis within {timeout_ms / 1000:g} s")
    arrived_at_ms = clock()
    event_to_redis_ms = arrived_at_ms - sent_at_ms
    if arrived.expires_at_ms is not None:
        expires_at_ms = arrived.expires_at_ms
    elif (arrived_at_ms if arrived.updated_at_ms is None else arrived.updated_at_ms) < expires_at_ms:
        failure = (
            f"the event came to Redis, but not into the segment {SEGMENT}: the job runs other definitions"
        )
        return CanaryResult(event_to_redis_ms, failure=failure)
    left = until(expires_at_ms, lambda held: has_reached(held, expires_at_ms) and held.expires_at_ms is None)
    if left is None:
        failure = f"{timeout_ms / 1000:g} s after its end the membership still stood in Redis, or the profile was gone"
        return CanaryResult(event_to_redis_ms, failure=failure)
    return CanaryResult(event_to_redis_ms, exit_lag_ms=clock() - expires_at_ms)


class ProfileReader:
    """Reads one profile from Redis. A transient error counts as a missing profile."""

    def __init__(self, target: RedisTarget, key_prefix: str, profile_id: str) -> None:
        self._access = access_to(target)
        self._key_prefix = key_prefix
        self._profile_id = profile_id
        self._retried: set[str] = set()

    def __call__(self) -> StoredProfile | None:
        """Returns the stored profile; None if there is none, or if Redis does not answer right now.

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
        expires_at_ms = None if membership is None else membership.expires_at_ms
        return StoredProfile(stored.version, stored.updated_at_ms, expires_at_ms)

    def _recover(self, found: Fault) -> None:
        """Prepares the next call. A permanent error is retried once, with a new version of the secret for example."""
        is_lasting = not found.transient and found.code in self._retried
        if is_lasting or not self._access.recover(found):
            raise CanaryError(f"Redis cannot be used: {with_flag(found)}")
        self._retried.add(found.code)


def _events_topic(flags: argparse.Namespace) -> str:
    topic = topic_from(flags, "events_topic")
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
    """Returns the parser of the command's flags."""
    reader = argparse.ArgumentParser(
        prog="segments canary",
        description="Sends a synthetic profile through the live system, and prints one line of JSON: how long its"
        " event took to arrive in Redis, and how late its membership ended. Exit status 1: the event or the exit did"
        " not arrive.",
        allow_abbrev=False,
    )
    add = reader.add_argument
    topic = "The topic of the job's subscription."
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
