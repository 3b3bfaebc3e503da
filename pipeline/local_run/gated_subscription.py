"""A subscription from which the local runner pulls only after it has asked."""

import dataclasses
from collections.abc import Callable
from typing import Any

from transforms.read_events import ReadSubscription


@dataclasses.dataclass
class ReadGatedSubscription(ReadSubscription):
    """Emits each Pub/Sub message, like `ReadSubscription`, on BundleBasedDirectRunner.

    Args:
      before_pull: is called before every pull; what it raises ends the run.
    """

    before_pull: Callable[[], None]

    def pull(self) -> Any:
        """Returns Beam's own step with a source that asks first."""
        read: Any = super().pull()
        read._source = _AskingSource(read._source, self.before_pull)
        return read


class _AskingSource:
    """A source that BundleBasedDirectRunner (Beam 2.77) cannot pull from without asking.

    That runner looks the subscription's name up before every pull, and pulls only when everything that it
    pulled before has gone through the whole graph.
    """

    def __init__(self, source: Any, before_pull: Callable[[], None]) -> None:
        self._source = source
        self._before_pull = before_pull

    @property
    def subscription_name(self) -> str:
        self._before_pull()
        return self._source.subscription_name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)
