"""Runs atomic Redis scripts in batches, and retries transient errors."""

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
"""One call of a script: its only key, and its arguments."""
_FAILURES = (RedisError, RedisClusterException, OSError, SecretError)


class SegmentStoreError(RuntimeError):
    """Redis rejected writes or could not be reached. The message has what to check, and no user data."""


class ScriptRunner:
    """Runs one script per key. Transient errors are retried with growing pauses; nothing is dropped.

    Args:
      access: the client of the server or cluster.
      attempts: the most times that one call is sent.
      sleep: waits between attempts; the argument is in seconds.
      on_throttled: called after every pause with its length in seconds.
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
        """Returns the script's reply to every call. A call without a reply is sent again.

        Raises:
          SegmentStoreError: a call had no reply after all attempts, or failed with a permanent error.
        """
        replies: dict[int, int] = {}
        try:
            self._retrying()(self._send, script, calls, replies)
        except _FAILURES as error:
            # The original text may contain addresses and arguments, so it is dropped.
            reason = error if isinstance(error, SecretError) else fault(error)
            raise SegmentStoreError(
                f"Redis took {len(replies)} of {len(calls)} writes, then: {reason}"
            ) from None
        return [replies[index] for index in range(len(calls))]

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._can_retry),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(initial=0.1, max=5, jitter=0.5),
            sleep=self._pause,
            reraise=True,
        )

    def _can_retry(self, error: BaseException) -> bool:
        if isinstance(error, SecretError):
            return error.transient
        return isinstance(error, _FAILURES) and self._access.recover(fault(error))

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._on_throttled(seconds)

    def _send(self, script: str, calls: Sequence[Call], replies: dict[int, int]) -> None:
        """Sends each call without a reply once, and adds the new replies to `replies`."""
        client = self._access.client()
        # In a cluster, a key may have just moved to a node without the script, so the text is always sent.
        by_hash = not isinstance(client, RedisCluster)
        waiting = [index for index in range(len(calls)) if index not in replies]
        errors = []
        for node, indexes in _by_node(client, calls, waiting):
            answers = _send_to(node, script, [calls[index] for index in indexes], by_hash)
            for index, answer in zip(indexes, answers, strict=True):
                if isinstance(answer, Exception):
                    errors.append(answer)
                else:
                    replies[index] = answer
        if errors:
            raise min(errors, key=lambda error: fault(error).transient)  # a permanent one, if any


def _by_node(
    client: Client, calls: Sequence[Call], indexes: Iterable[int]
) -> Iterator[tuple[redis.Redis, list[int]]]:
    """Yields each server that holds keys of the calls, with the indexes of its calls.

    redis-py's own cluster pipeline is not used: if a node does not answer, it sends each call again separately and
    waits five seconds for each.
    """
    if not isinstance(client, RedisCluster):
        yield client, list(indexes)
        return
    indexes_of: dict[str, list[int]] = {}
    nodes = {}
    for index in indexes:
        node = client.get_node_from_key(calls[index][0])
        nodes[node.name] = node
        indexes_of.setdefault(node.name, []).append(index)
    for name, node_indexes in indexes_of.items():
        yield client.get_redis_connection(nodes[name]), node_indexes


def _send_to(
    node: redis.Redis, script: str, calls: Sequence[Call], by_hash: bool
) -> Sequence[int | Exception]:
    """Sends calls to one server in one round trip; returns the replies.

    The first call has the script's text, which loads the script. With `by_hash` the others have only its hash.
    """
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    pipeline = node.pipeline(transaction=False)
    for number, (key, arguments) in enumerate(calls):
        command = ("EVALSHA", digest) if by_hash and number else ("EVAL", script)
        pipeline.execute_command(*command, 1, key, *arguments)
    try:
        return pipeline.execute(raise_on_error=False)
    except (RedisError, OSError) as error:
        return [error] * len(calls)  # it is unknown which of them were written
