"""Checks that the subscription and topics in flags exist, before a command on this machine starts."""

import os

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
    if isinstance(error, NotFound):
        return ConfigError(f"--{flag}: {name} does not exist")
    if isinstance(error, InvalidArgument):
        return ConfigError(f"--{flag}: {name} is no name that Pub/Sub takes")
    if isinstance(error, GoogleAuthError):
        return ConfigError(
            f"--{flag}: no Google credentials were taken; run `gcloud auth application-default login`,"
            " or set PUBSUB_EMULATOR_HOST to a running emulator"
        )
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    where = f"the emulator that PUBSUB_EMULATOR_HOST names, {emulator}," if emulator else "Pub/Sub"
    return ConfigError(f"--{flag}: {where} does not answer ({type(error).__name__})")
