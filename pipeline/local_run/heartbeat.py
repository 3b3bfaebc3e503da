"""Keeps a live run on this machine awake.

BundleBasedDirectRunner has one thread. A pull from the subscription blocks it until a message comes, for up to 30 s.
No timer fires in that time. The run therefore publishes heartbeats to the subscription's topic: messages with the
attribute `control=heartbeat`, which ParseEvents counts and drops. Dataflow needs no heartbeats, because a pull does not
block its timers.
"""

import concurrent.futures
import logging
from types import TracebackType
from typing import Self

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.flags.pubsub import topic_of
from segmentation.control import HEARTBEAT

_LOGGER = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 10


class Heartbeat:
    """Publishes heartbeats to a subscription's topic. A `with` block closes its client.

    The first failure to publish is logged as a warning and later ones are ignored, because a run without heartbeats
    loses nothing.

    Args:
      subscription: projects/P/subscriptions/S.

    Raises:
      ConfigError: the subscription does not exist, or Pub/Sub does not answer.
    """

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription
        self._topic = topic_of(subscription)
        self._warned = False
        self._client = pubsub_v1.PublisherClient()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.stop()
        self._client.transport.close()

    def beat(self) -> None:
        """Publishes one heartbeat, and waits for Pub/Sub to accept it."""
        if self._topic is None:
            self._warn("its topic was deleted, or may not be known")
            return
        try:
            heartbeat = self._client.publish(self._topic, b"", control=HEARTBEAT)
            heartbeat.result(_TIMEOUT_SECONDS)
        except (GoogleAPICallError, RetryError, GoogleAuthError, concurrent.futures.TimeoutError) as error:
            self._warn(f"its topic takes none ({type(error).__name__})")

    def _warn(self, reason: str) -> None:
        if self._warned:
            return
        self._warned = True
        _LOGGER.warning(
            "no heartbeat for %s: %s. While no message comes, exits by time alone are up to 30 s late, and so"
            " is the end of the run. To permit heartbeats, grant pubsub.subscriptions.get on the subscription"
            " (roles/pubsub.viewer) and pubsub.topics.publish on its topic (roles/pubsub.publisher)",
            self._subscription,
            reason,
        )
