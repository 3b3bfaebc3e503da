"""A Pub/Sub source that calls a function before each pull of the local runner."""

import dataclasses
from collections.abc import Callable
from typing import Any

from pipeline.local_run.job_status import to_counted_message
from transforms.read_events import ReadSubscription


@dataclasses.dataclass
class ReadGatedSubscription(ReadSubscription):
    """Emits and counts each Pub/Sub message, like `ReadSubscription`, but only on BundleBasedDirectRunner.

    Args:
      before_pull: called before every pull. An exception from it ends the run.
    """

    before_pull: Callable[[], None]
    to_message = staticmethod(to_counted_message)

    def pull(self) -> Any:
        """Returns Beam's step that reads Pub/Sub, with a source that calls `before_pull`."""
        read: Any = super().pull()
        read._source = _GatedSource(read._source, self.before_pull)
        return read


class _GatedSource:
    """A source that calls `before_pull` whenever BundleBasedDirectRunner is about to pull.

    That runner (Beam 2.77) reads `subscription_name` before every pull, and pulls only when all messages of
    earlier pulls have passed through the whole graph.
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
