"""Writes the segment store: the snapshot of every profile, and the stream of changes."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from segmentation.memberships import Change, Snapshot
from segmentation.profile.versions import LAST_VERSION, replaces
from stores.redis.access import RedisTarget, access_to
from stores.redis.scripts import Call, ScriptRunner
from stores.redis.scripts import SegmentStoreError as SegmentStoreError
from stores.segments.fields import CHANGE_WORDS, change_fields, snapshot_fields
from stores.segments.keys import DEFAULT_KEY_PREFIX, changes_key, profile_key

DEFAULT_CHANGES_MAX_LENGTH = 1_000_000
DELETED_TTL_MS = 3_600_000
"""How long the version of a profile without a key is kept, so that a stale write cannot restore the key."""
DEFAULT_IDLE_TTL_MS = 7 * 86_400_000
_TTL_LIMIT_MS = 2**53

# A full Redis rejects only the first write of a script. HSET comes first, so no profile is half replaced.
# A removal begins with DEL, which a full Redis accepts because it frees memory.
# The arguments: the version, the TTL, '1' if only a key that exists is replaced, then fields and values; none: remove.
# The last value is `processed_at`. One writer's versions grow with it, so a stale snapshot processed later than
# the stored one shows that another writer stored that. Timestamps have one width, so they compare as text.
_PUT_PROFILE = (
    f"local LAST_VERSION = {LAST_VERSION}"
    + """
local stored = tonumber(redis.call('HGET', KEYS[1], 'version'))
local version = tonumber(ARGV[1])
if stored and version == stored and version < LAST_VERSION then return 0 end
if stored and version < stored then
  local processed_at = redis.call('HGET', KEYS[1], 'processed_at')
  if processed_at and #ARGV > 3 and ARGV[#ARGV] > processed_at then return -2 end
  return -1
end
if not stored and ARGV[3] == '1' then return 2 end
if #ARGV == 3 then redis.call('DEL', KEYS[1]) end
local written = {'version', ARGV[1], unpack(ARGV, 4)}
redis.call('HSET', KEYS[1], unpack(written))
if redis.call('HLEN', KEYS[1]) * 2 > #written then
  local kept = {}
  for i = 1, #written, 2 do kept[written[i]] = true end
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if not kept[field] then redis.call('HDEL', KEYS[1], field) end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
_WRITTEN, _REPEATED, _STALE, _TAKEN_OVER, _SKIPPED = 1, 0, -1, -2, 2

_ADD_CHANGES = """
local words = tonumber(ARGV[3])
for i = 4, #ARGV, words do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, i, i + words - 1))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return (#ARGV - 3) / words
"""


class WriteResult(NamedTuple):
    """The number of profiles that a batch of snapshots replaced, and of those that it left unchanged."""

    accepted: int
    stale: int
    """Profiles with a newer version in Redis."""
    repeated: int = 0
    """Profiles with the same version in Redis, because the write was retried."""
    skipped: int = 0
    """Profiles that say nothing and have no key in Redis."""
    taken_over: int = 0
    """Profiles with a newer version in Redis that was processed before the refused one, so that another writer has
    taken them over. They are not among `stale`."""


class SegmentStore:
    """Writes snapshots and changes in batches, at least once.

    Writing a snapshot again changes nothing; appending a change again adds a repeat. Transient errors are retried
    with growing pauses, then `SegmentStoreError` is raised. The caller must then write the batch again. Each method
    call is one round trip (in a cluster, one per node), and each key is written by one atomic script, so the same
    code works with a single server and a cluster.

    Args:
      target: the address of Redis; all stores of a process share one client.
      key_prefix: the start of every key.
      ttl_ms: the TTL of a profile after its last write, and of the stream after its last entry.
      idle_ttl_ms: the TTL of a visitor without any membership after its last write.
      changes_max_length: approximately how many changes the stream keeps.
      attempts: the most times that one batch is sent.
      sleep: waits between attempts; the argument is in seconds.
      on_throttled: called after every pause with its length in seconds.

    Raises:
      SecretError: a secret of the target cannot be read. Secrets are read here, before the first write.
    """

    def __init__(
        self,
        target: RedisTarget,
        *,
        key_prefix: str = DEFAULT_KEY_PREFIX,
        ttl_ms: int,
        idle_ttl_ms: int = DEFAULT_IDLE_TTL_MS,
        changes_max_length: int = DEFAULT_CHANGES_MAX_LENGTH,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        on_throttled: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        for name, value_ms in (("ttl_ms", ttl_ms), ("idle_ttl_ms", idle_ttl_ms)):
            if not 0 < value_ms < _TTL_LIMIT_MS:
                raise ValueError(f"{name} must be in (0, 2^53), got {value_ms}")
        if changes_max_length < 1:
            raise ValueError(f"changes_max_length must be positive, got {changes_max_length}")
        access = access_to(target)
        access.prepare()
        self._key_prefix = key_prefix
        self._ttl_ms = ttl_ms
        self._idle_ttl_ms = idle_ttl_ms
        self._changes_max_length = changes_max_length
        self._scripts = ScriptRunner(access, attempts, sleep, on_throttled)

    def write_snapshots(self, snapshots: Iterable[Snapshot]) -> WriteResult:
        """Replaces each profile with its newest snapshot, if its version is higher than the stored version.

        At `LAST_VERSION`, which has no successor, a snapshot replaces one of the same version.
        Of a profile that is deleted or says nothing, only `version` is kept, for an hour. If no earlier snapshot of it
        said anything either, a key that does not exist is not created.

        Raises:
          SegmentStoreError: Redis did not accept all snapshots. Those that it accepted are stored.
        """
        calls = [self._put_profile(snapshot) for snapshot in _newest(snapshots)]
        replies = self._scripts.run(_PUT_PROFILE, calls)
        kinds = _WRITTEN, _STALE, _REPEATED, _SKIPPED, _TAKEN_OVER
        return WriteResult(*(replies.count(kind) for kind in kinds))

    def append_changes(self, changes: Iterable[Change]) -> int:
        """Appends the changes to the stream, all or none, and returns their number.

        A retry can append them again; consumers drop repeats by `change_id`. A null `expires_at` is written as "".

        Raises:
          SegmentStoreError: Redis rejected the changes, or did not answer.
        """
        arguments: list[str | bytes | int] = [self._changes_max_length, self._ttl_ms, CHANGE_WORDS]
        for change in changes:
            arguments += change_fields(change)
        if len(arguments) == 3:
            return 0
        return self._scripts.run(_ADD_CHANGES, [(changes_key(self._key_prefix), arguments)])[0]

    def _put_profile(self, snapshot: Snapshot) -> Call:
        if not 0 <= snapshot.version <= LAST_VERSION:
            raise ValueError(f"a snapshot's version must be in [0, 2^53), got {snapshot.version}")
        key = profile_key(self._key_prefix, snapshot.profile_id)
        if snapshot.deleted or snapshot.is_empty:
            return key, (snapshot.version, DELETED_TTL_MS, 0 if snapshot.was_served else 1)
        is_idle = snapshot.is_visitor and not snapshot.segments
        ttl_ms = self._idle_ttl_ms if is_idle else self._ttl_ms
        return key, (snapshot.version, ttl_ms, 0, *snapshot_fields(snapshot))


def _newest(snapshots: Iterable[Snapshot]) -> Iterable[Snapshot]:
    newest: dict[str, Snapshot] = {}
    for snapshot in snapshots:
        known = newest.get(snapshot.profile_id)
        if known is None or replaces(snapshot.version, known.version):
            newest[snapshot.profile_id] = snapshot
    return newest.values()
