"""How a live run ends, and begins again."""

import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from local.embedded_redis import EmbeddedRedis
from tests.integration.live_job import LiveJob, Profiles, Topic, body
from tests.waiting import HANGS_AFTER_SECONDS, until

StartJob = Callable[..., LiveJob]
NewTopic = Callable[[], Topic]
MESSAGES = 3000
"""More than a fast machine can do in the second after the first one."""


def end_at_any_moment(job: LiveJob, profiles: Profiles, number: signal.Signals) -> None:
    """Publishes more than can be done, ends the run amid it, and looks for what is nowhere."""
    payloads = {f"user-{index}": body("Order Completed", f"user-{index}") for index in range(0, MESSAGES, 2)}
    payloads |= {f"bad-{index}": f"bad-{index}".encode() for index in range(1, MESSAGES, 2)}
    job.events.publish_all(payloads[name] for name in sorted(payloads, key=lambda name: name.split("-")[1]))
    until(profiles.users, "first profile")
    time.sleep(random.random())
    job.signal(number)
    assert job.wait() == 0
    written = profiles.users()
    refused = {row["payload"] for row in job.rows("dead")}
    assert written == {row["profile_id"] for row in job.rows()}

    def left() -> set[str]:
        taken = {bytes(message.data) for message in job.events.taken()}
        return {name for name, payload in payloads.items() if payload in taken}

    until(lambda: left() | written | refused == payloads.keys(), "message that is neither written nor left")
    assert left().isdisjoint(written | refused)
    assert left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_run_after_all_pulled_messages_are_written(
    start_job: StartJob, new_topic: NewTopic, profiles: Profiles, number: signal.Signals
) -> None:
    job = start_job(new_topic())
    end_at_any_moment(job, profiles, number)
    assert "Traceback" not in job.log
    assert "live: ended; all pulled messages are processed" in job.log


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(20))
def test_a_signal_at_many_moments(
    start_job: StartJob, new_topic: NewTopic, profiles: Profiles, attempt: int
) -> None:
    end_at_any_moment(start_job(new_topic()), profiles, signal.SIGTERM)


def test_the_next_run_over_the_same_redis_is_believed(
    start_job: StartJob, new_topic: NewTopic, profiles: Profiles
) -> None:
    events = new_topic()
    first = start_job(events)
    events.publish_all(body("Product Viewed", "ada") for _ in range(3))
    until(lambda: "keen" in profiles.segments("ada"), "segment of the first run")
    version = int(profiles.profile("ada")["version"])
    first.signal(signal.SIGTERM)
    assert first.wait() == 0

    events.publish(body("Order Completed", "ada"))  # waits in the subscription
    second = start_job(events)
    until(lambda: profiles.segments("ada") == {"buyer"}, "segment of the run that knows nothing else")
    assert int(profiles.profile("ada")["version"]) > version
    until(
        lambda: [row["segment"] for row in second.changes_of("ada")][-1:] == ["buyer"],
        "the same in the history",
    )


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


def take_away(server: EmbeddedRedis, job: LiveJob, user: str) -> None:
    """Stops Redis, publishes an event, and returns when the job has tried in vain to write."""
    server.stop()
    address = Path(unquote(urlsplit(server.url).path))
    address.unlink(missing_ok=True)  # a server that was killed leaves it
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(address))
        stranger.listen()
        stranger.settimeout(HANGS_AFTER_SECONDS)
        job.events.publish(body("Order Completed", user))
        stranger.accept()[0].close()


def test_a_redis_that_comes_back_is_written_to_and_a_second_signal_waits_for_nothing(
    start_job: StartJob, new_topic: NewTopic, own_redis: EmbeddedRedis
) -> None:
    profiles = Profiles(own_redis.url)
    job = start_job(new_topic(), redis_url=own_redis.url)
    take_away(own_redis, job, "ada")
    own_redis.start()
    until(lambda: profiles.segments("ada") == {"buyer"}, "profile in the Redis that came back")

    take_away(own_redis, job, "ben")
    job.signal(signal.SIGINT)
    until(lambda: "stopping" in job.log, "word of the end")
    assert job.process.is_alive(), "ben is not written yet"
    job.signal(signal.SIGINT)
    assert job.wait() == -signal.SIGINT


@pytest.mark.long
def test_what_cannot_be_written_ends_the_run_with_an_error(
    start_job: StartJob, new_topic: NewTopic, own_redis: EmbeddedRedis
) -> None:
    job = start_job(new_topic(), redis_url=own_redis.url)
    take_away(own_redis, job, "ada")
    job.signal(signal.SIGTERM)
    assert job.wait() == 1
    assert "Redis took 0 of 1 writes, then: out of reach" in job.log
    assert "ended; all pulled messages are processed" not in job.log
    assert "ada" not in job.log
