"""Counters and distributions of a step, kept until the bundle finishes, then handed to Beam.

Beam's own call for each counter of each element would cost a microsecond. The process keeps totals besides,
because BundleBasedDirectRunner (Beam 2.77) reports only what the first bundle of each step counted: a local
run shows these totals, while on Dataflow Beam's metrics are the ones to read.
"""

import threading
from collections import Counter, defaultdict
from typing import NamedTuple

from apache_beam.metrics import Metrics


class Observed(NamedTuple):
    """What a distribution was told."""

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
        """`step` is the namespace under which Beam shows them."""
        self._step = step
        self._counts: Counter[str] = Counter()
        self._observations: defaultdict[str, list[int]] = defaultdict(list)

    def count(self, name: str, increment: int = 1) -> None:
        """Adds to a counter."""
        self._counts[name] += increment

    def observe(self, name: str, value: int) -> None:
        """Adds a value to a distribution, whose name ends in its unit."""
        self._observations[name].append(value)

    def flush(self) -> None:
        """Hands everything to Beam; to be called when the bundle finishes."""
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
    """Counts a step's seconds of waiting in `cumulativeThrottlingSeconds`, as they pass.

    By that name Dataflow knows that more workers would not help.
    """

    def __init__(self, step: str) -> None:
        self._counter = Metrics.counter(step, "cumulativeThrottlingSeconds")
        self._uncounted_seconds = 0.0

    def count(self, seconds: float) -> None:
        """Counts whole seconds, and keeps the rest for the next time."""
        self._uncounted_seconds += seconds
        whole = int(self._uncounted_seconds)
        if whole:
            self._counter.inc(whole)
            self._uncounted_seconds -= whole


def total_counts() -> dict[str, int]:
    """Returns by name what this process counted since `reset_totals`."""
    with _lock:
        return dict(_total_counts)


def total_observations() -> dict[str, Observed]:
    """Returns by name what this process observed since `reset_totals`."""
    with _lock:
        return dict(_total_observations)


def reset_totals() -> None:
    """Forgets the process's totals: a run begins."""
    with _lock:
        _total_counts.clear()
        _total_observations.clear()
