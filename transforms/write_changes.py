"""Appends membership changes to the segment store's stream."""

import dataclasses
import time
from collections.abc import Callable

import apache_beam as beam
from apache_beam.transforms.util import ReshufflePerKey

from segmentation.memberships import Change
from stores.redis.access import RedisTarget
from stores.segments.writer import DEFAULT_CHANGES_MAX_LENGTH, SegmentStore
from transforms.shards import shard_of
from transforms.write_batches import WriteBatchesFn


@dataclasses.dataclass
class WriteChanges(beam.PTransform):
    """Appends every change to the Redis stream; emits nothing.

    At least once: a retry can append a change again, with the same `change_id`, by which consumers drop repeats. The
    order in the stream is not guaranteed, not even within a profile; consumers order changes by `profile_version`.

    A bundle fails, and the runner retries it, if Redis stays full or unreachable.

    Args:
      target: the address of Redis and the names of its secrets.
      key_prefix: the start of the stream's key.
      ttl_ms: the TTL of the stream after its last entry.
      max_length: approximately how many changes the stream keeps.
      max_batch_size: the most changes per round trip.
      sleep: waits before a write is retried; the argument is in seconds.
    """

    target: RedisTarget
    key_prefix: str
    ttl_ms: int
    max_length: int = DEFAULT_CHANGES_MAX_LENGTH
    max_batch_size: int = 200
    sleep: Callable[[float], None] = time.sleep

    def expand(self, changes: beam.PCollection[Change]) -> beam.PCollection[None]:
        write = _WriteChangesFn(
            "WriteChanges",
            self.target,
            self.max_batch_size,
            key_prefix=self.key_prefix,
            ttl_ms=self.ttl_ms,
            changes_max_length=self.max_length,
            sleep=self.sleep,
        )
        return (
            changes
            | "KeyByShard" >> beam.Map(_by_shard)
            | "StableInput" >> ReshufflePerKey()
            | "AppendChanges" >> beam.ParDo(write).with_output_types(None)
        )


class _WriteChangesFn(WriteBatchesFn):
    def write(self, store: SegmentStore, batch: list[Change]) -> None:
        self.metrics.count("redis_changes_appended", store.append_changes(batch))


def _by_shard(change: Change) -> tuple[int, Change]:
    return shard_of(change.profile_id), change
