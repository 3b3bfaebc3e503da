"""Collects the counters and distributions of a step, and passes them to Beam when the bundle finishes.

A call of Beam for each counter of each element would take a microsecond. The process also keeps totals, because
BundleBasedDirectRunner (Beam 2.77) reports only the counts of each step's first bundle. A local run prints these
totals; on Dataflow, read Beam's metrics.
"""

import threading
from collections import Counter, defaultdict
from typing import NamedTuple

from apache_beam.metrics import Metrics


class Observed(NamedTuple):
    """The summary of a distribution's values."""

    values: int
    total: int
    least: int
    greatest: int

    def with_others(self, other: "Observed") -> "Observed":
        """Returns the distribution of both sets of values."""
        return Observed(
            self.values + other.values,
            self.total + other.total,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
        )


_lock = threading.Lock()
_total_counts: Counter[str] = Counter()
_total_observations: dict[str, Observed] = {}


class StepMetrics:
    """The metrics of one step in one bundle."""

    def __init__(self, step: str) -> None:
        """`step` is the namespace of the metrics in Beam."""
        self._step = step
        self._counts: Counter[str] = Counter()
        self._observations: defaultdict[str, list[int]] = defaultdict(list)

    def count(self, name: str, increment: int = 1) -> None:
        """Adds to a counter."""
        self._counts[name] += increment

    def observe(self, name: str, value: int) -> None:
        """Adds a value to a distribution. The name ends with the unit."""
        self._observations[name].append(value)

    def flush(self) -> None:
        """Passes all metrics to Beam. Call this when the bundle finishes."""
        for name, count in self._counts.items():
            Metrics.counter(self._step, name).inc(count)
        for name, values in self._observations.items():
            update = Metrics.distribution(self._step, name).update
            for value in values:
                update(value)
        with _lock:
            _total_counts.update(self._counts)
            for name, values in self._observations.items():
                observed = Observed(len(values), sum(values), min(values), max(values))
                before = _total_observations.get(name)
                _total_observations[name] = observed if before is None else before.with_others(observed)
        self._counts.clear()
        self._observations.clear()


class Throttling:
    """Counts the seconds of a step's pauses in `cumulativeThrottlingSeconds`.

    Dataflow reads this counter, and adds no workers while it grows.
    """

    def __init__(self, step: str) -> None:
        self._counter = Metrics.counter(step, "cumulativeThrottlingSeconds")
        self._uncounted_seconds = 0.0

    def count(self, seconds: float) -> None:
        """Adds a pause. The counter gets whole seconds; the fraction is kept for the next call."""
        self._uncounted_seconds += seconds
        whole = int(self._uncounted_seconds)
        if whole:
            self._counter.inc(whole)
            self._uncounted_seconds -= whole


def total_counts() -> dict[str, int]:
    """Returns this process's counters by name, since `reset_totals`."""
    with _lock:
        return dict(_total_counts)


def total_observations() -> dict[str, Observed]:
    """Returns this process's distributions by name, since `reset_totals`."""
    with _lock:
        return dict(_total_observations)


def reset_totals() -> None:
    """Resets the process's totals, at the start of a run."""
    with _lock:
        _total_counts.clear()
        _total_observations.clear()
