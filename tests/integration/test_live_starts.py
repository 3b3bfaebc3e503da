"""What a live run asks of Pub/Sub before it takes anything in, and its heartbeat."""

import logging
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from pipeline.local_run.heartbeat import Heartbeat
from pipeline.main import main
from tests.integration.live_job import RULES, Profiles, Topic, body
from tests.waiting import until

NewTopic = Callable[[], Topic]
NOWHERE = "projects/project-x/topics/nowhere"


@pytest.fixture
def run(tmp_path: Path, redis_url: str) -> Callable[..., int]:
    """Runs the job in this process, and returns its exit status."""

    def run(subscription: str, *flags: str) -> int:
        dead_letters = [] if flags and "dead" in flags[0] else [f"--dead_letter_path={tmp_path}/dead"]
        return main(
            [
                f"--input_subscription={subscription}",
                f"--segments={RULES}",
                f"--redis_url={redis_url}",
                f"--history_path={tmp_path}/history",
                *dead_letters,
                *flags,
            ]
        )

    return run


def test_a_subscription_or_topic_that_is_not_there_is_named(run, new_topic: NewTopic, capsys) -> None:
    assert run("projects/project-x/subscriptions/nowhere") == 2
    error = capsys.readouterr().err
    assert "--input_subscription: projects/project-x/subscriptions/nowhere does not exist" in error
    subscription = new_topic().subscription
    for flag in ("dead_letter_topic", "changes_topic"):
        assert run(subscription, f"--{flag}={NOWHERE}") == 2
        assert f"--{flag}: {NOWHERE} does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["dead_letter_topic", "changes_topic"])
def test_a_bounded_run_names_a_topic_that_is_not_there_and_runs_as_soon_as_it_is(
    run, new_topic: NewTopic, tmp_path: Path, redis_url: str, capfd, flag: str
) -> None:
    """The message has the command that creates the topic."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(body("Order Completed", "ada") + b"\n{}\n" + body("Order Completed", "ben"))
    new = f"projects/project-x/topics/new-{uuid.uuid4().hex}"
    argv = [
        f"--events={log}",
        f"--segments={RULES}",
        f"--redis_url={redis_url}",
        f"--history_path={tmp_path}/history",
        *([] if flag == "dead_letter_topic" else [f"--dead_letter_path={tmp_path}/dead"]),
        f"--{flag}={new}",
    ]
    assert main(argv) == 2
    error = capfd.readouterr().err
    assert "Traceback" not in error
    message = error.splitlines()[-1]
    assert message.startswith(f"segments run: --{flag}: {new} does not exist in the emulator")
    assert not list(tmp_path.glob("history*"))
    subprocess.run(message.partition("`")[2].removesuffix("`"), shell=True, check=True, capture_output=True)
    assert main(argv) == 0


def test_the_command_in_the_message_creates_the_subscription(run, new_topic: NewTopic, capsys) -> None:
    name = f"projects/project-x/subscriptions/new-{uuid.uuid4().hex}"
    assert run(name) == 2
    command = capsys.readouterr().err.partition("`")[2].removesuffix("`\n").replace("TOPIC", new_topic().name)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    with pubsub_v1.SubscriberClient() as client:
        assert client.get_subscription(subscription=name).name == name


def test_an_emulator_that_does_not_run_is_named(run, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    assert run("projects/project-x/subscriptions/job") == 2
    assert "PUBSUB_EMULATOR_HOST names, 127.0.0.1:1, does not answer" in capsys.readouterr().err


def test_a_run_in_this_process_ends_with_nothing_left_behind(
    run, new_topic: NewTopic, redis_url: str, capfd, caplog
) -> None:
    events = new_topic()
    profiles = Profiles(redis_url)
    before = set(threading.enumerate())
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def end_when_written() -> None:
        try:
            events.publish(body("Order Completed", "ada"))
            until(profiles.users, "profile")
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    ender = threading.Thread(target=end_when_written)
    ender.start()
    caplog.set_level(logging.INFO)
    assert run(events.subscription) == 0
    ender.join()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert logging.getLogger("apache_beam.runners.direct.executor").level == logging.NOTSET

    def left() -> list[threading.Thread]:
        threads = set(threading.enumerate()) - before
        return [thread for thread in threads if "grpc" not in thread.name.lower()]

    until(lambda: not left(), "end of the run's threads")
    assert "1 events, 0 late, 0 repeated, 0 dead letters" in caplog.text
    assert "ada" not in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_a_heartbeat_is_a_message_with_an_attribute(new_topic: NewTopic) -> None:
    topic = new_topic()
    with Heartbeat(topic.subscription) as heartbeat:
        heartbeat.beat()
        heartbeat.beat()
    assert [(bytes(m.data), dict(m.attributes)) for m in topic.taken()] == [
        (b"", {"control": "heartbeat"})
    ] * 2


def test_a_topic_that_takes_no_heartbeat_is_a_warning_with_its_remedy(new_topic: NewTopic, caplog) -> None:
    topic = new_topic()
    with Heartbeat(topic.subscription) as heartbeat, pubsub_v1.PublisherClient() as publisher:
        publisher.delete_topic(topic=topic.name)
        heartbeat.beat()
        heartbeat.beat()
    with Heartbeat(topic.subscription) as heartbeat:
        heartbeat.beat()
    assert "its topic takes none (NotFound)" in caplog.text
    assert "its topic was deleted" in caplog.text
    assert caplog.text.count("pubsub.topics.publish") == 2
