"""The base of the steps that write to Redis: batches within a bundle."""

import time
from typing import Any

import apache_beam as beam

import transforms.coders  # noqa: F401 (registers the coders of Snapshot and Change)
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore
from transforms.step_metrics import StepMetrics, Throttling


class WriteBatchesFn(beam.DoFn):
    """Writes the values of a bundle's (shard, value) pairs in batches; emits nothing.

    At least once: a bundle succeeds only if all its values are written. All instances in a process share one client,
    because a local runner sets up its DoFns again for every bundle.

    Args:
      name: the step's name, which is the namespace of its metrics.
      target: the address of Redis.
      max_batch_size: the most values per write.
      store_options: further arguments of `SegmentStore`.
    """

    def __init__(self, name: str, target: RedisTarget, max_batch_size: int, **store_options: Any) -> None:
        self.target = target
        self._max_batch_size = max_batch_size
        self._store_options = store_options
        self._name = name
        self._throttling = Throttling(name)

    def write(self, store: SegmentStore, batch: list[Any]) -> None:
        """Writes the batch and counts the results."""
        raise NotImplementedError

    def setup(self) -> None:
        self._store = SegmentStore(self.target, on_throttled=self._throttling.count, **self._store_options)

    def start_bundle(self) -> None:
        self._batch: list[Any] = []
        self.metrics = StepMetrics(self._name)

    def process(self, element: tuple[int, Any]) -> None:
        self._batch.append(element[1])
        if len(self._batch) >= self._max_batch_size:
            self._flush()

    def finish_bundle(self) -> None:
        if self._batch:
            self._flush()
        self.metrics.flush()

    def _flush(self) -> None:
        started = time.monotonic()
        self.write(self._store, self._batch)
        self.metrics.observe("redis_write_ms", round((time.monotonic() - started) * 1000))
        self._batch = []
