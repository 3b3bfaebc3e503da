"""What is said about a topic or a subscription of Google Cloud that is missing."""

import shlex
from typing import Any

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1

from pipeline.flags.forms import ConfigError
from pipeline.flags.pubsub import require_topic, topic_of
from tests.command_lines import problems


@pytest.fixture(autouse=True)
def nothing_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients connect to nothing: Google Cloud is not asked."""

    def missing(*arguments: Any, **options: Any) -> Any:
        raise NotFound("no")

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")  # clients that need no credentials
    subscriber, publisher = pubsub_v1.SubscriberClient(), pubsub_v1.PublisherClient()
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST")
    monkeypatch.setattr(subscriber, "get_subscription", missing)
    monkeypatch.setattr(publisher, "get_topic", missing)
    monkeypatch.setattr(pubsub_v1, "SubscriberClient", lambda: subscriber)
    monkeypatch.setattr(pubsub_v1, "PublisherClient", lambda: publisher)


def test_a_missing_topic_is_named_with_the_command_that_creates_it() -> None:
    with pytest.raises(ConfigError) as caught:
        require_topic("changes_topic", "projects/project-x/topics/changes")
    message, command = str(caught.value).removesuffix("`").split("`")
    assert message == (
        "--changes_topic: projects/project-x/topics/changes does not exist: correct the name, or create it with "
    )
    assert command == "gcloud pubsub topics create changes --project=project-x"
    assert list(problems(shlex.split(command))) == []


def test_a_missing_subscription_is_named_with_the_command_that_creates_it() -> None:
    with pytest.raises(ConfigError) as caught:
        topic_of("projects/project-x/subscriptions/a job")
    message, command = str(caught.value).removesuffix("`").split("`")
    assert message.startswith("--input_subscription: projects/project-x/subscriptions/a job does not exist")
    assert command == "gcloud pubsub subscriptions create 'a job' --topic=TOPIC --project=project-x"
    assert list(problems(shlex.split(command))) == []
