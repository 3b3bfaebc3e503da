"""The segment store: what Redis serves of every profile, and the stream of changes. No Beam here."""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import redis
import tenacity
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from segmentation.memberships import Change, Snapshot
from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp
from transforms.redis_client import fault

DEFAULT_KEY_PREFIX = "segments:"
DEFAULT_CHANGES_MAX_LENGTH = 1_000_000
DELETED_TTL_MS = 3_600_000
"""For how long a deleted profile's version stays, so that a stale write cannot bring it back."""
VERSION_LIMIT = 2**53
"""Lua and JavaScript compare numbers exactly only below this."""
_TTL_LIMIT_MS = 2**53

# A full Redis refuses only the first write of a script: HSET leads, so that nothing is half replaced.
# A deletion may always pass, because it frees memory.
_PUT_PROFILE = """
local stored = tonumber(redis.call('HGET', KEYS[1], 'version')) or -1
local version = tonumber(ARGV[1])
if version == stored then return 0 end
if version < stored then return -1 end
if #ARGV == 2 then redis.call('DEL', KEYS[1]) end
local fields = {'segments', 'scores', 'measures', 'predictions', 'traits',
  'rules_version', 'updated_at', 'processed_at'}
local written, kept = {'version', ARGV[1]}, {version = true}
for i = 3, #ARGV do
  local field = fields[i - 2]
  written[#written + 1], written[#written + 2] = field, ARGV[i]
  kept[field] = true
end
redis.call('HSET', KEYS[1], unpack(written))
if redis.call('HLEN', KEYS[1]) * 2 > #written then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if not kept[field] then redis.call('HDEL', KEYS[1], field) end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
_WRITTEN, _REPEATED, _STALE = 1, 0, -1

_ADD_CHANGES = """
for i = 3, #ARGV, 7 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
    'change_id', ARGV[i], 'profile_id', ARGV[i + 1], 'segment', ARGV[i + 2], 'change', ARGV[i + 3],
    'event_time', ARGV[i + 4], 'expires_at', ARGV[i + 5], 'profile_version', ARGV[i + 6])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return (#ARGV - 2) / 7
"""

_JSON = msgspec.json.Encoder()
_JSON_INTEGER_BITS = 1024
"""No reader's number is greater: what is left over counts as infinite."""
_Call = tuple[bytes, Sequence[str | bytes | int]]
"""A script's key and arguments."""


class WriteResult(NamedTuple):
    """How many profiles a batch of snapshots wrote, and how many it left as they were."""

    accepted: int
    stale: int
    """A newer version was stored."""
    repeated: int = 0
    """The very version was stored: the write was retried."""


class SegmentStoreError(RuntimeError):
    """Redis refused writes, or stayed out of reach; the message says what to check and names no one."""


class SegmentStore:
    """Writes snapshots and changes in batches, at least once; writing again changes nothing.

    Transient errors are retried with growing pauses, then `SegmentStoreError` is raised: nothing
    is dropped, and the caller writes the batch again. Each call is one round trip, and each key
    one atomic script, so the same store serves a single server and a cluster.

    Args:
      client: a client whose own retries are off, such as `redis_client.connect` gives.
      ttl_ms: how long a profile stays after its last write, and the stream after its last entry.
      changes_max_length: about how many changes the stream keeps.
      attempts: how often a batch is sent at most.
      sleep: pauses for so many seconds between attempts.
      on_throttled: is told the seconds of every pause.
    """

    def __init__(
        self,
        client: redis.Redis | RedisCluster,
        *,
        key_prefix: str = DEFAULT_KEY_PREFIX,
        ttl_ms: int,
        changes_max_length: int = DEFAULT_CHANGES_MAX_LENGTH,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        on_throttled: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        if not 0 < ttl_ms < _TTL_LIMIT_MS:
            raise ValueError(f"ttl_ms must be in (0, 2^53), got {ttl_ms}")
        if changes_max_length < 1:
            raise ValueError(f"changes_max_length must be positive, got {changes_max_length}")
        self._client = client
        self._key_prefix = key_prefix
        self._ttl_ms = ttl_ms
        self._changes_max_length = changes_max_length
        self._attempts = attempts
        self._sleep = sleep
        self._on_throttled = on_throttled

    def write_snapshots(self, snapshots: Iterable[Snapshot]) -> WriteResult:
        """Replaces each profile by its newest snapshot, unless what is stored is as new.

        Of a deleted profile only `version` stays, for an hour.

        Raises:
          SegmentStoreError: Redis did not take all of them; those it took stay.
        """
        calls = [self._put_profile(snapshot) for snapshot in _newest(snapshots)]
        replies = self._evaluate(_PUT_PROFILE, calls)
        return WriteResult(replies.count(_WRITTEN), replies.count(_STALE), replies.count(_REPEATED))

    def append_changes(self, changes: Iterable[Change]) -> int:
        """Appends the changes to the stream, all or none, and returns how many there were.

        A retry may append them again: consumers drop repeats by `change_id`. Every entry has the
        same fields (Redis stores them once per block), so `expires_at` is "" where it is null.

        Raises:
          SegmentStoreError: Redis did not take them, or its answer never came.
        """
        arguments: list[str | bytes | int] = [self._changes_max_length, self._ttl_ms]
        for change in changes:
            arguments += _stream_values(change)
        if len(arguments) == 2:
            return 0
        key = f"{self._key_prefix}changes".encode()
        return self._evaluate(_ADD_CHANGES, [(key, arguments)])[0]

    def _put_profile(self, snapshot: Snapshot) -> _Call:
        if not 0 <= snapshot.version < VERSION_LIMIT:
            raise ValueError(f"a snapshot's version must be in [0, 2^53), got {snapshot.version}")
        key = _utf8(f"{self._key_prefix}profile:{snapshot.profile_id}")
        if snapshot.deleted:
            return key, (snapshot.version, DELETED_TTL_MS)
        return key, (snapshot.version, self._ttl_ms, *_hash_values(snapshot))

    def _evaluate(self, script: str, calls: Sequence[_Call]) -> list[int]:
        """Returns the script's reply to every call, having sent again what found no answer."""
        replies: dict[int, int] = {}
        try:
            self._retrying()(self._send, script, calls, replies)
        except (RedisError, RedisClusterException, OSError) as error:
            # The original text may hold addresses and arguments: it goes no further.
            raise SegmentStoreError(
                f"Redis took {len(replies)} of {len(calls)} writes, then: {fault(error)}"
            ) from None
        return [replies[index] for index in range(len(calls))]

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: fault(error).transient),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(initial=0.1, max=5, jitter=0.5),
            sleep=self._pause,
            reraise=True,
        )

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._on_throttled(seconds)

    def _send(self, script: str, calls: Sequence[_Call], replies: dict[int, int]) -> None:
        """Sends the calls without a reply once, and notes the replies.

        The first call carries the script's text, which loads it; the others name its hash. A
        cluster's pipeline spreads over nodes and refuses hashes, so there each carries the text.
        """
        waiting = [index for index in range(len(calls)) if index not in replies]
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        pipeline = self._client.pipeline(transaction=False)
        for index in waiting:
            key, arguments = calls[index]
            with_text = index == waiting[0] or isinstance(self._client, RedisCluster)
            command = ("EVAL", script) if with_text else ("EVALSHA", digest)
            pipeline.execute_command(*command, 1, key, *arguments)  # a cluster's has no method for it
        errors = []
        for index, reply in zip(waiting, pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, Exception):
                errors.append(reply)
            else:
                replies[index] = reply
        if errors:
            raise min(errors, key=lambda error: fault(error).transient)  # a lasting one, if any


def _newest(snapshots: Iterable[Snapshot]) -> Iterable[Snapshot]:
    newest: dict[str, Snapshot] = {}
    for snapshot in snapshots:
        known = newest.get(snapshot.profile_id)
        if known is None or snapshot.version > known.version:
            newest[snapshot.profile_id] = snapshot
    return newest.values()


def _hash_values(snapshot: Snapshot) -> Sequence[str | bytes]:
    """Returns the values of the fields that the script names, in its order."""
    segments = {
        name: {"entered_at": _timestamp(held.entered_at_ms), "expires_at": _expiry(held.expires_at_ms)}
        for name, held in snapshot.segments.items()
    }
    scores = {name: {"value": value, "at": _timestamp(at)} for name, (value, at) in snapshot.scores.items()}
    predictions = b"{}"
    return (
        _json(segments),
        _json(scores),
        _json(snapshot.measures),
        predictions,
        _json(snapshot.traits),
        snapshot.rules_version,
        _timestamp(snapshot.updated_at_ms),
        _timestamp(snapshot.processed_at_ms),
    )


def _stream_values(change: Change) -> Sequence[str | bytes | int]:
    return (
        change.change_id,
        _utf8(change.profile_id),
        change.segment,
        change.change,
        _timestamp(change.event_time_ms),
        _expiry(change.expires_at_ms) or "",
        change.profile_version,
    )


def _expiry(ms: int | None) -> str | None:
    return None if ms is None else _timestamp(ms)


def _timestamp(ms: int) -> str:
    """Says an instant; one outside the years that can be said, such as a far deadline, is moved there."""
    return format_timestamp(ms if MIN_MS <= ms <= MAX_MS else MIN_MS if ms < MIN_MS else MAX_MS)


def _json(value: Any) -> bytes:
    """Returns valid JSON for whatever came out of JSON or was computed from it; nan and inf are null."""
    try:
        return _JSON.encode(value)
    except ValueError:  # half a surrogate pair, or an integer of thousands of digits
        return _JSON.encode(_sayable(value))


def _sayable(value: Any) -> Any:
    match value:
        case dict():
            return {_sayable(name): _sayable(member) for name, member in value.items()}
        case list() | tuple():
            return [_sayable(member) for member in value]
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case int() if value.bit_length() > _JSON_INTEGER_BITS:
            return None
        case _:
            return value


def _utf8(text: str) -> bytes:
    """Encodes an id so that different ones stay different, half surrogate pairs included."""
    return text.encode("utf-8", "surrogatepass")
