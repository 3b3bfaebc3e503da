"""Says when Redis refuses what the job of a live system writes."""

import json
from pathlib import Path

from stores.clock import Clock, system_clock_ms

_AGAIN_AFTER_MS = 10_000


class StaleWriteLines:
    """Says how many writes were stale, at most every ten seconds, and only if there are more than before.

    Args:
      status_file: the job's status file, which has the numbers.
      clock: returns the processing time.
    """

    def __init__(self, status_file: Path, clock: Clock = system_clock_ms) -> None:
        self._status_file = status_file
        self._clock = clock
        self._said = 0
        self._said_at_ms: int | None = None

    def lines(self) -> list[str]:
        """Returns the line to show now, if there is one."""
        if not self._status_file.exists():
            return []
        status = json.loads(self._status_file.read_text())
        stale, taken_over = status["stale_writes"], status["taken_over_writes"]
        now_ms = self._clock()
        waits = self._said_at_ms is not None and now_ms - self._said_at_ms < _AGAIN_AFTER_MS
        if stale <= self._said or waits:
            return []
        self._said, self._said_at_ms = stale, now_ms
        line = f"live: stale writes: Redis refused {stale:,} so far, because it has newer versions of the profiles"
        if not taken_over:
            return [line]
        fix = "docs/redis.md, “Two writers of one prefix”, has the fix"
        return [
            line,
            f"live: {taken_over:,} of them are of profiles that another job or run has taken over: {fix}",
        ]
