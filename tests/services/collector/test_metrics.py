"""The metrics of a collector, under the names that alerts and dashboards use."""

from prometheus_client.parser import text_string_to_metric_families

from services.collector.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_gauges_have_the_value_of_the_moment() -> None:
    metrics, pending = Metrics(), [7]
    metrics.watch_pending("events", lambda: pending[0])
    metrics.watch_memory(lambda: 8, lambda: 9)
    found = samples(metrics)
    assert found["collector_events_pending_bytes"] == 7
    assert (found["collector_held_memory_bytes"], found["collector_arriving_bytes"]) == (8, 9)
    pending[0] = 0
    assert samples(metrics)["collector_events_pending_bytes"] == 0


def test_every_counter_has_its_name_and_labels() -> None:
    metrics = Metrics()
    for counter, labels in (
        (metrics.responses, ["ok"]),
        (metrics.requests_without_route, ["404"]),
        (metrics.events, ["shop"]),
        (metrics.dead_letters, ["shop", "bad_field"]),
        (metrics.flagged, ["shop"]),
        (metrics.ignored_ids, ["shop"]),
        (metrics.repaired_times, ["shop", "no_time"]),
        (metrics.closed_connections, ["slow_head"]),
    ):
        counter.labels(*labels).inc()
    counted = {name for name, value in samples(metrics).items() if name.endswith("_total") and value == 1}
    assert counted == {
        "collector_responses_total",
        "collector_requests_without_route_total",
        "collector_events_published_total",
        "collector_events_dead_lettered_total",
        "collector_events_flagged_total",
        "collector_ids_ignored_total",
        "collector_times_repaired_total",
        "collector_connections_closed_total",
    }


def test_seconds_of_requests_fall_into_buckets_from_two_milliseconds_to_ten_seconds() -> None:
    families = text_string_to_metric_families(Metrics().exposition().decode())
    (bounds,) = (
        [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
        for family in families
        if family.name == "collector_request_seconds"
    )
    assert [float(bound) for bound in bounds[:-1]] == [
        *(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5),
        *(1, 2.5, 5, 10),
    ]
