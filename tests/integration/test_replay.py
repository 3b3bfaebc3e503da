"""`segments replay`, from a subscription of dead letters to a topic of events, through a real Pub/Sub."""

import json
import warnings
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.cloud import pubsub_v1
from hypothesis import given
from hypothesis import strategies as st

from commands import replay as replay_dead_letters
from commands.replay import DeadLetterReplay, Letter, main, read_letter
from segmentation.dead_letters import DeadLetter
from tests.integration.live_job import LiveJob, Topic, body, now_ms
from tests.waiting import HANGS_AFTER_SECONDS, until

NewTopic = Callable[[], Topic]
Shown = pytest.CaptureFixture[str]
LATER = 10_000_000_000.0


def letter(payload: bytes, reason: str = "bad_type", step: str = "ParseEvents", **attributes: str) -> bytes:
    """Returns a dead letter, as the job publishes it."""
    return orjson.dumps(DeadLetter(payload, step, reason, "what was wrong", 0, attributes).row())


def messages(topic: Topic) -> list[tuple[bytes, dict[str, str]]]:
    """Returns what is in a topic, in the order of the payloads."""
    return sorted((bytes(message.data), dict(message.attributes)) for message in topic.taken())


def argv(dead_letters: Topic, events: Topic, *flags: str) -> list[str]:
    return [
        f"--dead_letters_subscription={dead_letters.subscription}",
        f"--events_topic={events.name}",
        *flags,
    ]


@pytest.fixture
def answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the emulator say that a subscription is empty, which is believed at once, for it hides nothing.

    A pull that ends by a time limit says nothing on a busy machine.
    """
    pull = pubsub_v1.SubscriberClient.pull

    def pull_at_once(client: Any, request: dict[str, Any], **_: Any) -> Any:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            request = {**request, "return_immediately": True}
            return pull(client, request=request, retry=None, timeout=HANGS_AFTER_SECONDS)

    monkeypatch.setattr(pubsub_v1.SubscriberClient, "pull", pull_at_once)
    monkeypatch.setattr(replay_dead_letters, "_EMPTY_PULLS", 1)


@pytest.fixture
def topics(new_topic: NewTopic, answers_at_once: None) -> tuple[Topic, Topic]:
    """Topics of dead letters and of events."""
    return new_topic(), new_topic()


def test_publishes_what_first_came_and_takes_it_away(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    dead_letters.publish(letter(b"{}", sent="by ada"), reason="bad_type")
    dead_letters.publish(letter(b"\xff\x00no text", "not_json"), reason="not_json")
    assert main(argv(dead_letters, events)) == 0
    assert messages(events) == [(b"{}", {"sent": "by ada"}), (b"\xff\x00no text", {})]
    assert dead_letters.taken() == []
    assert capsys.readouterr().out == "2 replayed: 1 bad_type, 1 not_json\n"


def test_what_is_not_asked_for_stays(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    others = [
        letter(b"3", "too_large"),
        letter(b'{"change_id":"c"}', "row_refused", "WriteHistory"),
        b"no dead letter",
        b"[]",
        b'{"step": "ParseEvents", "payload": "x", "encoding": "base64", "attributes": {}, "reason": "bad_type"}',
    ]
    dead_letters.publish_all([letter(b"1"), letter(b"2", "bad_field"), *others])
    assert main(argv(dead_letters, events, "--reason=bad_type", "--reason=bad_field")) == 0
    assert [payload for payload, _ in messages(events)] == [b"1", b"2"]
    assert sorted(bytes(message.data) for message in dead_letters.taken()) == sorted(others)
    assert capsys.readouterr().out.splitlines()[1] == "5 left: 4 no event's dead letter, 1 too_large"


def test_a_dry_run_only_counts(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    dead_letters.publish_all([letter(b"1"), letter(b"2"), b"another"])
    assert main(argv(dead_letters, events, "--dry_run")) == 0
    assert capsys.readouterr().out == "2 to replay: 2 bad_type\n1 left: 1 no event's dead letter\n"
    assert messages(events) == []
    assert len(dead_letters.taken()) == 3


def test_what_arrives_meanwhile_stays(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    dead_letters.publish(letter(b"1"))
    DeadLetterReplay(dead_letters.subscription, events.name).run(now_seconds=0)
    assert capsys.readouterr().out == "0 replayed\n1 left: 1 arrived since\n"
    DeadLetterReplay(dead_letters.subscription, events.name).run(now_seconds=LATER)
    assert capsys.readouterr().out == "1 replayed: 1 bad_type\n"


def test_what_is_not_taken_is_not_acknowledged(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    dead_letters.publish(letter(b"1"))
    with pubsub_v1.PublisherClient() as publisher:
        publisher.delete_topic(topic=events.name)
    with pytest.raises(replay_dead_letters.ReplayError, match="run it again for the rest"):
        DeadLetterReplay(dead_letters.subscription, events.name).run(LATER)
    assert capsys.readouterr().out == "0 replayed\n"
    assert len(dead_letters.taken()) == 1


def test_what_pubsub_takes_from_nobody_stays(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    dead_letters.publish(letter(b"", "not_json"))
    assert main(argv(dead_letters, events)) == 0
    assert capsys.readouterr().out == "0 replayed\n1 left: 1 empty\n"
    dead_letters.publish(letter(b"1", googclient_x="1", mine="2"))
    assert main(argv(dead_letters, events)) == 0
    assert messages(events) == [(b"1", {"mine": "2"})]


def test_many_are_replayed_in_several_pulls(topics: tuple[Topic, Topic], monkeypatch, capsys: Shown) -> None:
    dead_letters, events = topics
    monkeypatch.setattr(replay_dead_letters, "_PULL_MESSAGES", 7)
    dead_letters.publish_all([letter(str(number).encode()) for number in range(50)])
    assert main(argv(dead_letters, events)) == 0
    assert {payload for payload, _ in messages(events)} == {str(number).encode() for number in range(50)}
    assert dead_letters.taken() == []
    assert capsys.readouterr().out == "50 replayed: 50 bad_type\n"


def test_pulls_that_wait_in_vain_end_a_replay(
    new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr(replay_dead_letters, "_PULL_SECONDS", 0.3)
    assert main(argv(new_topic(), new_topic())) == 0
    assert capsys.readouterr().out == "0 replayed\n"


def test_the_job_takes_what_is_replayed(
    topics: tuple[Topic, Topic], start_job: Callable[..., LiveJob], profiles: Any
) -> None:
    """A phone's clock was ten minutes fast; its dead letter is mended, put back, and replayed."""
    dead_letters, events = topics
    job = start_job(events, f"--dead_letter_topic={dead_letters.name}")
    events.publish(body("Order Completed", "ada", now_ms() + 600_000), source="phone")
    found = until(dead_letters.taken, "dead letter")
    row = json.loads(found[0].data)
    assert (row["reason"], row["attributes"]) == ("future_timestamp", {"source": "phone"})
    mended = {**row, "payload": body("Order Completed", "ada").decode()}
    dead_letters.publish(orjson.dumps(mended), reason="future_timestamp")
    assert main(argv(dead_letters, events, "--reason=future_timestamp")) == 0
    until(lambda: profiles.segments("ada"), "profile")
    assert job.process.is_alive()


def test_wrong_names_are_refused_before_anything_happens(topics: tuple[Topic, Topic], capsys: Shown) -> None:
    dead_letters, events = topics
    nowhere = "projects/project-x/subscriptions/nowhere"
    assert main([f"--dead_letters_subscription={nowhere}", f"--events_topic={events.name}"]) == 2
    expected = f"segments replay: --dead_letters_subscription: {nowhere} does not exist in the emulator"
    assert capsys.readouterr().err.startswith(expected)
    topic = "projects/project-x/topics/nowhere"
    assert main([f"--dead_letters_subscription={dead_letters.subscription}", f"--events_topic={topic}"]) == 2
    expected = f"segments replay: --events_topic: {topic} does not exist in the emulator"
    assert capsys.readouterr().err.startswith(expected)
    assert main(argv(events, events)) == 2
    assert "--dead_letters_subscription reads --events_topic itself" in capsys.readouterr().err


@given(st.binary(), st.dictionaries(st.text(min_size=1).filter(lambda name: name[:4] != "goog"), st.text()))
def test_a_dead_letter_gives_back_every_byte(payload: bytes, attributes: dict[str, str]) -> None:
    row = DeadLetter(payload, "ParseEvents", "not_json", "not JSON", 0, attributes).row()
    assert read_letter(json.dumps(row).encode()) == Letter(payload, attributes, "not_json")
