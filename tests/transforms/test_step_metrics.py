"""What a step counts and observes: in Beam's metrics, and in the totals of the process."""

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline

from transforms.step_metrics import (
    Observed,
    StepMetrics,
    Throttling,
    reset_totals,
    total_counts,
    total_observations,
)


@pytest.fixture(autouse=True)
def no_totals() -> None:
    reset_totals()


def test_totals_grow_with_every_bundle_until_they_are_reset() -> None:
    for values in ([5, 7], [2], [9]):
        metrics = StepMetrics("Step")
        for value in values:
            metrics.count("events")
            metrics.count("bytes", value)
            metrics.observe("lag_ms", value)
        metrics.flush()
        metrics.flush()
    assert total_counts() == {"events": 4, "bytes": 23}
    assert total_observations() == {"lag_ms": Observed(values=4, total=23, least=2, greatest=9)}
    reset_totals()
    assert (total_counts(), total_observations()) == ({}, {})


class _Measuring(beam.DoFn):
    def start_bundle(self) -> None:
        self._metrics = StepMetrics("Step")
        self._throttling = Throttling("Step")

    def process(self, value: int) -> None:
        self._metrics.count("events")
        self._metrics.observe("lag_ms", value)
        self._throttling.count(value / 4)

    def finish_bundle(self) -> None:
        self._metrics.flush()


def test_beam_gets_the_metrics_of_a_bundle_and_whole_seconds_of_pauses() -> None:
    pipeline = BeamPipeline(runner="apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner")
    _ = pipeline | beam.Create([3, 2, 4]) | beam.ParDo(_Measuring())
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("Step"))
    counters = {counter.key.metric.name: counter.committed for counter in found["counters"]}
    assert counters == {"events": 3, "cumulativeThrottlingSeconds": 2}
    (lag,) = found["distributions"]
    assert (lag.committed.count, lag.committed.sum, lag.committed.min, lag.committed.max) == (3, 9, 2, 4)
