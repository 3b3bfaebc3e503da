"""Whether events can be accepted now: Pub/Sub answers, and the topics exist and take messages."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from services.collector.publisher import PubSub

REACHABLE_WAIT_SECONDS = 1.0
RECHECK_SECONDS = 30.0
"""How long topics that take messages are believed to, unless Pub/Sub refuses messages for one of them."""
RETRY_SECONDS = 2.0
"""How long after a look at the topics Pub/Sub is not asked again, whatever happens."""
_LOGGER = logging.getLogger("collector")


class NotReady(NamedTuple):
    """Why no events can be accepted."""

    code: str
    message: str


class Readiness:
    """Looks at the connection each time, and at the topics from time to time, however often it is asked.

    Args:
      pubsub: the connection.
      topics: the topics by the flag that names each.
      clock: returns seconds that never go back.
    """

    def __init__(
        self, pubsub: PubSub, topics: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pubsub = pubsub
        self._topics = topics
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_at: float | None = None
        self._refusals = 0
        self._found: NotReady | None = None

    async def problem(self) -> NotReady | None:
        """Returns why events cannot be accepted now; None if they can. Answers within two seconds."""
        if not await self._pubsub.is_reachable(REACHABLE_WAIT_SECONDS):
            return NotReady("pubsub_unavailable", "Pub/Sub cannot be reached")
        async with self._looking:
            if not self._is_fresh():
                await self._look()
        return self._found

    def _is_fresh(self) -> bool:
        if self._looked_at is None:
            return False
        is_well = self._found is None and self._pubsub.refusals == self._refusals
        return self._clock() - self._looked_at < (RECHECK_SECONDS if is_well else RETRY_SECONDS)

    async def _look(self) -> None:
        self._refusals = self._pubsub.refusals
        looks = (self._pubsub.topic_problem(topic) for topic in self._topics.values())
        problems = zip(self._topics.items(), await asyncio.gather(*looks), strict=True)
        found = [
            NotReady(problem.code, f"--{flag}: {topic} {problem.message}")
            for (flag, topic), problem in problems
            if problem is not None
        ]
        before, self._found = self._found, found[0] if found else None
        self._looked_at = self._clock()
        if self._found is not None and self._found != before:
            _LOGGER.warning("not ready: %s", self._found.message)
        elif self._found is None and before is not None:
            _LOGGER.info("ready")
