"""Checks that the subscription and topics in flags exist, before a command on this machine starts."""

import os
import shlex

from google.api_core.exceptions import Forbidden, GoogleAPICallError, InvalidArgument, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.flags.forms import ConfigError

_TIMEOUT_SECONDS = 10


def topic_of(subscription: str, flag: str = "input_subscription") -> str | None:
    """Returns the topic of a subscription; None if the topic was deleted or the lookup is not permitted.

    Args:
      subscription: projects/P/subscriptions/S.
      flag: the flag that named the subscription, for the error message.

    Raises:
      ConfigError: the subscription does not exist, or Pub/Sub does not answer.
    """
    request = {"subscription": subscription}
    try:
        with pubsub_v1.SubscriberClient() as client:
            topic = client.get_subscription(request=request, retry=None, timeout=_TIMEOUT_SECONDS).topic
    except Forbidden:
        return None
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise _config_error(flag, subscription, error) from None
    return topic if topic.startswith("projects/") else None


def require_topic(flag: str, topic: str) -> None:
    """Checks that a topic exists. A lookup that is not permitted counts as success.

    Raises:
      ConfigError: the topic does not exist, or Pub/Sub does not answer.
    """
    try:
        with pubsub_v1.PublisherClient() as client:
            client.get_topic(request={"topic": topic}, retry=None, timeout=_TIMEOUT_SECONDS)
    except Forbidden:
        return
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise _config_error(flag, topic, error) from None


def _config_error(flag: str, name: str, error: Exception) -> ConfigError:
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    if isinstance(error, NotFound):
        return ConfigError(f"--{flag}: {name} does not exist{_creation(name, emulator)}")
    if isinstance(error, InvalidArgument):
        return ConfigError(f"--{flag}: {name} is no name that Pub/Sub takes")
    if isinstance(error, GoogleAuthError):
        return ConfigError(
            f"--{flag}: no Google credentials were taken; run `gcloud auth application-default login`,"
            " or set PUBSUB_EMULATOR_HOST to a running emulator"
        )
    where = f"the emulator that PUBSUB_EMULATOR_HOST names, {emulator}," if emulator else "Pub/Sub"
    return ConfigError(f"--{flag}: {where} does not answer ({type(error).__name__})")


def _creation(name: str, emulator: str | None) -> str:
    """Returns the end of a message: where something is missing, and the command that creates it."""
    _, project, kind, short_name = name.split("/", 3)
    is_topic = kind == "topics"
    if emulator:
        body = "" if is_topic else """ -H 'Content-Type: application/json' -d '{"topic": "TOPIC"}'"""
        command = f"curl -X PUT {shlex.quote(f'http://{emulator}/v1/{name}')}{body}"
        return f" in the emulator that PUBSUB_EMULATOR_HOST names: create it, for example with `{command}`"
    names = shlex.join([short_name, *([] if is_topic else ["--topic=TOPIC"]), f"--project={project}"])
    return f": correct the name, or create it with `gcloud pubsub {kind} create {names}`"
