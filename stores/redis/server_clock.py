"""Compares this machine's clock with that of Redis."""

from typing import Any

from stores.clock import Clock
from stores.redis.access import RedisAccess


def clock_ahead_ms(access: RedisAccess, clock: Clock) -> int:
    """Returns how far this machine's clock is ahead of Redis's at least, in milliseconds; negative if it is behind.

    0 means that the clocks agree as exactly as the round trip allows. Of a cluster's nodes, the one that agrees best
    counts. Sends one command, `TIME`.

    Raises:
      RedisError, OSError, SecretError: Redis cannot be asked, or its user has no right to the command.
    """
    client: Any = access.client()
    before_ms = clock()
    answer = client.time()
    after_ms = clock()
    times = answer.values() if isinstance(answer, dict) else [answer]  # a cluster may ask several nodes
    return min((_ahead_ms(before_ms, after_ms, time) for time in times), key=abs)


def _ahead_ms(before_ms: int, after_ms: int, time: tuple[int, int]) -> int:
    redis_ms = time[0] * 1000 + time[1] // 1000
    if before_ms > redis_ms:
        return before_ms - redis_ms
    return min(after_ms - redis_ms, 0)
