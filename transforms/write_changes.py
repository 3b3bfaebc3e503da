"""Appends membership changes to the segment store's stream."""

import dataclasses
import time
from collections.abc import Callable

import apache_beam as beam
from apache_beam.transforms.util import ReshufflePerKey

from segmentation.memberships import Change
from stores.redis.access import RedisTarget
from stores.segments.writer import DEFAULT_CHANGES_MAX_LENGTH, SegmentStore
from transforms.write_batches import WriteBatchesFn, shard_of


@dataclasses.dataclass
class WriteChanges(beam.PTransform):
    """Appends every change to the Redis stream; emits nothing.

    At least once: what is retried may be appended again, with the same `change_id`, by which
    consumers drop it. Order in the stream is not promised, not even within a profile: consumers
    go by `profile_version`.

    A bundle fails, and is retried by the runner, when Redis stays full or out of reach.

    Args:
      target: where Redis is, and which secrets open it.
      key_prefix: begins the stream's key.
      ttl_ms: how long the stream stays after its last entry.
      max_length: about how many changes the stream keeps.
      max_batch_size: how many changes go into one round trip at most.
      sleep: pauses for so many seconds before a write is tried again.
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
