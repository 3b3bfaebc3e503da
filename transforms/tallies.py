"""Counters of one bundle, added up in the process and handed to Beam once."""

from collections import Counter

from apache_beam.metrics import Metrics


class Tallies:
    """Counts by name; a Beam counter costs a microsecond for each element, a tally a tenth of that."""

    def __init__(self, namespace: str) -> None:
        """`namespace` is the step's name, under which its metrics stand."""
        self._namespace = namespace
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Adds to a counter."""
        self._counts[name] += count

    def flush(self) -> None:
        """Hands the counts to Beam; to be called when the bundle finishes."""
        for name, count in self._counts.items():
            if count:
                Metrics.counter(self._namespace, name).inc(count)
        self._counts.clear()
