"""Writes the snapshots of profiles to the segment store."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.util import ReshufflePerKey
from apache_beam.utils.windowed_value import WindowedValue

from segmentation.memberships import Snapshot
from segmentation.profile.versions import LAST_VERSION, replaces
from stores.redis.access import RedisTarget
from stores.segments.writer import DEFAULT_IDLE_TTL_MS, SegmentStore
from transforms.clock_checks import redis_clock_check
from transforms.rare_errors import RareError
from transforms.shards import shard_of
from transforms.write_batches import WriteBatchesFn

_MAX_KEPT_PROFILES = 10_000
"""The most snapshots that are kept in memory, because a bounded run can be one large bundle."""
_TAKEN_OVER = RareError(
    "%d snapshots were refused, because another writer has taken over their profiles: two jobs or runs use one key"
    " prefix; docs/redis.md, “Two writers of one prefix”, has the fix"
)
_LAST_VERSIONS = RareError(
    "%d snapshots have the last version, 2^53 - 1, so that Redis keeps the one that arrives last: is this machine's"
    " clock right?"
)


@dataclasses.dataclass
class WriteSegments(beam.PTransform):
    """Writes each profile's newest snapshot to Redis; emits nothing.

    At least once and idempotent: a snapshot is written only if its version is higher than the stored version, and a
    retried bundle writes the same snapshots, because they come through a shuffle. Snapshots can arrive in any order.
    Time and watermarks have no effect. A stale snapshot of a profile that another writer has taken over is also counted
    as `redis_writes_taken_over`, and logged as an error once a minute.

    A bundle fails, and the runner retries it, if Redis stays full or unreachable, or if this machine's clock is more
    than five minutes ahead of Redis's.

    Args:
      target: the address of Redis and the names of its secrets.
      key_prefix: the start of every key.
      ttl_ms: the TTL of a profile after its last write.
      idle_ttl_ms: the TTL of a visitor without any membership after its last write.
      max_batch_size: the most snapshots per round trip.
      sleep: waits before a write is retried; the argument is in seconds.
    """

    target: RedisTarget
    key_prefix: str
    ttl_ms: int
    idle_ttl_ms: int = DEFAULT_IDLE_TTL_MS
    max_batch_size: int = 200
    sleep: Callable[[float], None] = time.sleep

    def expand(self, snapshots: beam.PCollection[Snapshot]) -> beam.PCollection[None]:
        write = _WriteSnapshotsFn(
            "WriteSegments",
            self.target,
            self.max_batch_size,
            key_prefix=self.key_prefix,
            ttl_ms=self.ttl_ms,
            idle_ttl_ms=self.idle_ttl_ms,
            sleep=self.sleep,
        )
        return (
            snapshots
            | "KeepNewest" >> beam.ParDo(_KeepNewestFn()).with_output_types(tuple[int, Snapshot])
            | "StableInput" >> ReshufflePerKey()
            | "WriteSnapshots" >> beam.ParDo(write).with_output_types(None)
        )


class _KeepNewestFn(beam.DoFn):
    """Emits only the newest snapshot of each profile in a bundle, because a log read as one bundle has many."""

    def start_bundle(self) -> None:
        self._newest: dict[str, WindowedValue] = {}

    def process(
        self,
        snapshot: Snapshot,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[WindowedValue]:
        known = self._newest.get(snapshot.profile_id)
        if known is None or replaces(snapshot.version, known.value[1].version):
            keyed = shard_of(snapshot.profile_id), snapshot
            self._newest[snapshot.profile_id] = WindowedValue(keyed, timestamp, (window,))
        if len(self._newest) >= _MAX_KEPT_PROFILES:
            yield from self.finish_bundle()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield from self._newest.values()
        self._newest = {}


class _WriteSnapshotsFn(WriteBatchesFn):
    def write(self, store: SegmentStore, batch: list[Snapshot]) -> None:
        redis_clock_check(self.target).check()
        result = store.write_snapshots(batch)
        self.metrics.count("redis_writes_accepted", result.accepted)
        self.metrics.count("redis_writes_stale", result.stale + result.taken_over)
        self.metrics.count("redis_writes_taken_over", result.taken_over)
        self.metrics.count("redis_writes_repeated", result.repeated)
        self.metrics.count("redis_writes_skipped", result.skipped)
        _TAKEN_OVER.met(result.taken_over)
        _LAST_VERSIONS.met(sum(snapshot.version == LAST_VERSION for snapshot in batch))
