"""Atomic scripts in Redis: sent in batches, and again while there is hope."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import redis
import tenacity
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from stores.redis.access import RedisAccess
from stores.redis.client import Client, fault
from stores.secrets import SecretError

Call = tuple[bytes, Sequence[str | bytes | int]]
"""A script's only key, and its arguments."""
_FAILURES = (RedisError, RedisClusterException, OSError, SecretError)


class SegmentStoreError(RuntimeError):
    """Redis refused writes, or stayed out of reach; the message says what to check and names no one."""


class ScriptRunner:
    """Runs one script per key. Transient errors are retried with growing pauses; nothing is dropped.

    Args:
      access: to the server or cluster.
      attempts: how often a call is sent at most.
      sleep: pauses for so many seconds between attempts.
      on_throttled: is told the seconds of every pause.
    """

    def __init__(
        self,
        access: RedisAccess,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        on_throttled: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._access = access
        self._attempts = attempts
        self._sleep = sleep
        self._on_throttled = on_throttled

    def run(self, script: str, calls: Sequence[Call]) -> list[int]:
        """Returns the script's reply to every call, having sent again what found no answer.

        Raises:
          SegmentStoreError: a call found no answer in all attempts, or one that will not change.
        """
        replies: dict[int, int] = {}
        try:
            self._retrying()(self._send, script, calls, replies)
        except _FAILURES as error:
            # The original text may hold addresses and arguments: it goes no further.
            reason = error if isinstance(error, SecretError) else fault(error)
            raise SegmentStoreError(
                f"Redis took {len(replies)} of {len(calls)} writes, then: {reason}"
            ) from None
        return [replies[index] for index in range(len(calls))]

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(initial=0.1, max=5, jitter=0.5),
            sleep=self._pause,
            reraise=True,
        )

    def _may_pass(self, error: BaseException) -> bool:
        if isinstance(error, SecretError):
            return error.transient
        return isinstance(error, _FAILURES) and self._access.recover(fault(error))

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._on_throttled(seconds)

    def _send(self, script: str, calls: Sequence[Call], replies: dict[int, int]) -> None:
        """Sends the calls without a reply once, and notes the replies."""
        client = self._access.client()
        # A key of a cluster may just have gone to a node that lacks the script: there, no hashes.
        hashes = not isinstance(client, RedisCluster)
        waiting = [index for index in range(len(calls)) if index not in replies]
        errors = []
        for node, indexes in _by_node(client, calls, waiting):
            answers = _send_to(node, script, [calls[index] for index in indexes], hashes)
            for index, answer in zip(indexes, answers, strict=True):
                if isinstance(answer, Exception):
                    errors.append(answer)
                else:
                    replies[index] = answer
        if errors:
            raise min(errors, key=lambda error: fault(error).transient)  # a lasting one, if any


def _by_node(
    client: Client, calls: Sequence[Call], indexes: Iterable[int]
) -> Iterator[tuple[redis.Redis, list[int]]]:
    """Yields the servers that hold the calls' keys, each with the indexes of its calls.

    redis-py's own pipeline of a cluster would send each call of a silent node again by itself, and wait
    five seconds for each.
    """
    if not isinstance(client, RedisCluster):
        yield client, list(indexes)
        return
    of_node: dict[str, list[int]] = {}
    nodes = {}
    for index in indexes:
        node = client.get_node_from_key(calls[index][0])
        nodes[node.name] = node
        of_node.setdefault(node.name, []).append(index)
    for name, of_this in of_node.items():
        yield client.get_redis_connection(nodes[name]), of_this


def _send_to(
    node: redis.Redis, script: str, calls: Sequence[Call], hashes: bool
) -> Sequence[int | Exception]:
    """Returns one server's answers, in one round trip.

    The first call carries the script's text, which loads it; the others name its hash, if they may.
    """
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    pipeline = node.pipeline(transaction=False)
    for number, (key, arguments) in enumerate(calls):
        command = ("EVALSHA", digest) if hashes and number else ("EVAL", script)
        pipeline.execute_command(*command, 1, key, *arguments)
    try:
        return pipeline.execute(raise_on_error=False)
    except (RedisError, OSError) as error:
        return [error] * len(calls)  # none of them is known to be written
