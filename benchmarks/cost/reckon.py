"""Calculates the cost of the live system, and the event rates at which limits are reached."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.cost.prices import Prices, PricesError
from benchmarks.cost.volumes import Volumes
from benchmarks.results import Report

RATES = (100, 1_000, 10_000, 100_000)
PROFILES = (1_000_000, 10_000_000, 50_000_000, 100_000_000)
MILLION = 1_000_000
HOURS_PER_MONTH = 730
SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600
_GIB, _TIB = 2**30, 2**40
_LONG_TERM_DAYS = 90
_DAYS_PER_MONTH = HOURS_PER_MONTH / 24
_LEAST_ROW_BYTES = 1024
_REDIS_TIERS = ((4, "m1"), (10, "m2"), (35, "m3"), (100, "m4"), (math.inf, "m5"))


class Line(NamedTuple):
    """One item with a cost or a limit. None: not measured yet, or without a price."""

    what: str
    quantity: float | None
    unit: str
    dollars: float | None


class AtRate(NamedTuple):
    """The resources and cost at one rate of events."""

    events_per_second: int
    vcpus: float
    dollars_per_month: float
    published_bytes_per_second: float
    snapshots_per_second: float
    rows_per_second: float


class Cost(NamedTuple):
    """All numbers of the page."""

    prices: Prices
    volumes: Volumes
    python: list[Line]
    per_million_events: list[Line]
    instead: list[Line]
    """Optional and alternative costs of a million events; the total excludes them."""
    per_profiles: list[Line]
    standing: list[Line]
    at_rates: list[AtRate]
    reaches: list[Line]
    """The highest rate that each limit allows, in events per second."""


def total(lines: Sequence[Line]) -> tuple[float, list[str]]:
    """Returns the total cost of lines, and the names of lines without a known cost."""
    known = [line.dollars for line in lines if line.dollars is not None]
    return sum(known), [line.what for line in lines if line.dollars is None]


def reckon(reports: Mapping[str, Report], volumes: Volumes, prices: Prices) -> Cost:
    """Returns the cost."""
    assumed = prices.assumptions["event_bytes"].value
    volumes = volumes._replace(event_bytes=assumed or volumes.event_bytes)
    python = _python(reports, volumes)
    per_million_events = _per_million_events(python, volumes, prices)
    longer = volumes._replace(event_bytes=volumes.event_bytes + 1024)
    one_kib_more = total(_per_million_events(python, longer, prices))[0] - total(per_million_events)[0]
    storage_write_gib = volumes.changes_per_event * volumes.row_bytes * MILLION / _GIB
    measured = _figure(reports, "redis_writer", "SegmentStore with Redis on the same machine", "snapshots/s")
    return Cost(
        prices,
        volumes,
        python,
        per_million_events,
        [
            Line("One KiB more in each message, besides", MILLION * 1024 / _GIB, "GiB", one_kib_more),
            _line(
                prices,
                "BigQuery: inserts by the Storage Write API, instead",
                storage_write_gib,
                "GiB",
                "bigquery_storage_write_gib",
            ),
        ],
        [_redis(count, prices) for count in PROFILES],
        _standing(prices),
        [_at_rate(rate, python, per_million_events, volumes, prices) for rate in RATES],
        _reaches(volumes, prices, measured),
    )


def _python(reports: Mapping[str, Report], volumes: Volumes) -> list[Line]:
    """Returns the processor time of one event, step by step, in microseconds."""
    steps = [
        ("ParseEvents", 1.0, _figure(reports, "fold", "parse_event of the line", "µs per event")),
        ("UpdateProfiles", 1.0, _figure(reports, "steps", "UpdateProfiles", "µs per event")),
        (
            "WriteSegments",
            volumes.snapshots_per_event,
            _figure(reports, "redis_writer", "WriteSegments, the whole step", "µs per snapshot"),
        ),
        ("WriteHistory", volumes.changes_per_event, _figure(reports, "history", "InsertRows", "µs per row")),
    ]
    return [
        Line(step, None if each is None else times * each, "µs per event", None)
        for step, times, each in steps
    ]


def _figure(reports: Mapping[str, Report], benchmark: str, begins: str, unit: str) -> float | None:
    """Returns a measured figure by the prefix of its name; None if it is not stored."""
    if benchmark not in reports:
        return None
    found = [one for one in reports[benchmark].figures if one.name.startswith(begins) and one.unit == unit]
    if len(found) != 1:
        raise PricesError(f"results.json has {len(found)} figures of {benchmark} that begin with {begins!r}")
    return found[0].value


def _vcpus(rate: float, python: Sequence[Line], prices: Prices) -> float:
    """Returns the number of vCPUs that a rate of events keeps busy, counting only measured steps."""
    python_us = sum(line.quantity for line in python if line.quantity is not None)
    return rate * python_us / MILLION * prices.assumed("harness_factor") / prices.assumed("utilization")


def _per_million_events(python: Sequence[Line], volumes: Volumes, prices: Prices) -> list[Line]:
    vcpu_hours = _vcpus(MILLION, python, prices) / 3600
    message_bytes = volumes.event_bytes + prices.assumed("message_overhead_bytes")
    change_bytes = volumes.changes_per_event * (volumes.row_bytes + prices.assumed("message_overhead_bytes"))
    engine_bytes = (
        prices.assumed("shuffles") * message_bytes
        + 2 * volumes.state_bytes
        + volumes.snapshots_per_event * volumes.snapshot_bytes
        + change_bytes
    )
    insert_bytes = volumes.changes_per_event * max(_LEAST_ROW_BYTES, volumes.row_bytes)
    raw_gib = message_bytes * MILLION / _GIB
    rows_gib = volumes.changes_per_event * volumes.row_bytes * MILLION / _GIB

    memory_gib_hours = vcpu_hours * prices.assumed("memory_gib_per_vcpu")
    retention_days = prices.assumed("event_retention_days")
    engine_gib = engine_bytes * MILLION / _GIB
    tib = message_bytes * MILLION / _TIB
    return [
        _line(prices, "Dataflow: vCPUs", vcpu_hours, "vCPU-hours", "dataflow_vcpu_hour"),
        _line(prices, "Dataflow: memory", memory_gib_hours, "GiB-hours", "dataflow_memory_gib_hour"),
        _line(prices, "Dataflow: Streaming Engine", engine_gib, "GiB", "dataflow_streaming_engine_gib"),
        _line(prices, "Pub/Sub: events in", tib, "TiB", "pubsub_tib"),
        _line(prices, "Pub/Sub: events to the job", tib, "TiB", "pubsub_tib"),
        _line(prices, "Pub/Sub: raw events to BigQuery", tib, "TiB", "pubsub_bigquery_tib"),
        _line(
            prices,
            f"Pub/Sub: events, kept {retention_days:g} days",
            raw_gib * retention_days / _DAYS_PER_MONTH,
            "GiB-months",
            "pubsub_retention_gib_month",
        ),
        _line(prices, "Pub/Sub: changes in", change_bytes * MILLION / _TIB, "TiB", "pubsub_tib"),
        _line(
            prices, "BigQuery: inserts", insert_bytes * MILLION / _GIB, "GiB", "bigquery_streaming_insert_gib"
        ),
        _storage("BigQuery: raw events", raw_gib, prices.assumed("raw_event_days"), prices),
        _storage("BigQuery: history", rows_gib, prices.assumed("history_days"), prices),
    ]


def _line(prices: Prices, what: str, quantity: float, unit: str, price: str) -> Line:
    dollars = prices.prices[price].dollars
    return Line(what, quantity, unit, None if dollars is None else quantity * dollars)


def _storage(what: str, gib: float, days: float, prices: Prices) -> Line:
    """Returns the cost of storing data for some days, with the lower price for long-term storage."""
    active = prices.prices["bigquery_active_storage_gib_month"].dollars
    long_term = prices.prices["bigquery_long_term_storage_gib_month"].dollars
    active_months = min(days, _LONG_TERM_DAYS) / _DAYS_PER_MONTH
    long_term_months = max(0.0, days - _LONG_TERM_DAYS) / _DAYS_PER_MONTH
    dollars = None
    if active is not None and long_term is not None:
        dollars = gib * (active_months * active + long_term_months * long_term)
    return Line(
        f"{what}, kept {days:,.0f} days", gib * (active_months + long_term_months), "GiB-months", dollars
    )


def _redis(profiles: int, prices: Prices) -> Line:
    bytes_per_profile = prices.assumed("redis_bytes_per_profile") * prices.assumed("redis_headroom")
    return _redis_of(f"{profiles:,} profiles", math.ceil(profiles * bytes_per_profile / _GIB), prices)


def _redis_of(what: str, gib: int, prices: Prices) -> Line:
    tier = next(name for up_to_gib, name in _REDIS_TIERS if gib <= up_to_gib)
    dollars = prices.prices[f"redis_{tier}_gib_hour"].dollars
    return Line(what, gib, "GiB", None if dollars is None else gib * HOURS_PER_MONTH * dollars)


def _standing(prices: Prices) -> list[Line]:
    """Returns the fixed cost of a month without events, with the defaults of terraform/."""
    vcpus = prices.assumed("vcpus_per_worker")
    memory_gib = vcpus * prices.assumed("memory_gib_per_vcpu")
    canary_seconds = SECONDS_PER_MONTH / 300 * prices.assumed("canary_vcpu_seconds")

    return [
        _line(
            prices,
            "Dataflow: one worker's vCPUs",
            vcpus * HOURS_PER_MONTH,
            "vCPU-hours",
            "dataflow_vcpu_hour",
        ),
        _line(
            prices,
            "Dataflow: one worker's memory",
            memory_gib * HOURS_PER_MONTH,
            "GiB-hours",
            "dataflow_memory_gib_hour",
        ),
        _redis_of("Redis, 5 GiB", 5, prices),
        _line(prices, "The canary's schedule", 1, "jobs", "scheduler_job_month"),
        _line(prices, "The canary's vCPU", canary_seconds, "vCPU-seconds", "cloud_run_vcpu_second"),
        _line(prices, "The canary's memory", canary_seconds, "GiB-seconds", "cloud_run_memory_gib_second"),
    ]


def _at_rate(
    rate: int, python: Sequence[Line], per_million_events: Sequence[Line], volumes: Volumes, prices: Prices
) -> AtRate:
    dollars, _ = total(per_million_events)
    return AtRate(
        rate,
        _vcpus(rate, python, prices),
        dollars * rate * SECONDS_PER_MONTH / MILLION,
        rate * (volumes.event_bytes + prices.assumed("message_overhead_bytes")),
        rate * volumes.snapshots_per_event,
        rate * volumes.changes_per_event,
    )


def _reaches(volumes: Volumes, prices: Prices, measured_snapshots: float | None) -> list[Line]:
    message_bytes = volumes.event_bytes + prices.assumed("message_overhead_bytes")
    each = {
        "pubsub_publish_large_region_bytes_per_second": (
            "Pub/Sub, publishing in a large region",
            message_bytes,
        ),
        "pubsub_publish_small_region_bytes_per_second": ("Pub/Sub, publishing elsewhere", message_bytes),
        "bigquery_insert_rows_per_second": ("BigQuery, streaming inserts", volumes.changes_per_event),
        "redis_snapshots_per_second": ("Redis, snapshots into one primary", volumes.snapshots_per_event),
    }
    lines = []
    for name, (what, per_event) in each.items():
        limit = prices.limits[name].limit
        if limit is None and name == "redis_snapshots_per_second":
            limit = measured_snapshots
        lines.append(Line(what, None if limit is None else limit / per_event, "events/s", None))
    return lines
