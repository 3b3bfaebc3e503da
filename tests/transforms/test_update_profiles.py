"""The stateful step, with scripted arrivals and watermarks (TestStream), and with its coders."""

from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.test_stream import TestStream as Script
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from segmentation.events import Event
from segmentation.memberships import Change, Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile
from segmentation.rules.load import load_rules
from tests.events import START_MS, event
from transforms.step_metrics import Observed, reset_totals, total_counts, total_observations
from transforms.update_profiles import UpdateProfiles, _UpdateProfilesFn

LOCAL_RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
RULES = """
version: 1
measures:
  spent: {event: Order Completed, within: 1h, sum: {of: properties.total}}
segments:
  viewer: {when: {event: Product Viewed, within: 10m}}
  abandoner:
    when:
      sequence: [{event: Product Added}]
      within: 1h
      then_not: {event: Order Completed, for: 5m}
"""
HOUR_S = 3600
CAPPED = """
version: 1
measures:
  skus: {event: Product Viewed, within: 1h, distinct: {of: "properties.skus[]"}}
"""


def clock_at(seconds: float) -> Callable[[], int]:
    return lambda: START_MS + round(seconds * 1000)


def at(seconds: float) -> Timestamp:
    return Timestamp(micros=(START_MS + round(seconds * 1000)) * 1000)


def short(change: Change) -> tuple[str, str, str, float, str]:
    seconds = (change.event_time_ms - START_MS) / 1000
    return change.profile_id, change.segment, change.change, seconds, change.cause


ONCE = "version: 1\nsegments:\n  once: {when: {event: Product Viewed, count: {at_least: 1, at_most: 1}}}\n"


def run_script(
    steps: list[Any],
    expected: list[tuple[str, str, str, float, str]],
    clock: Callable[[], int],
    **config: Any,
) -> dict[str, int]:
    """Plays a script: an event arrives, a number moves the watermark; then compares the changes.

    Returns what was counted.
    """
    reset_totals()
    script = Script().with_output_types(tuple[str, Event])
    for step in steps:
        if isinstance(step, Event):
            script = script.add_elements([TimestampedValue((step.profile_id, step), at(0))])
        elif step == "infinity":
            script = script.advance_watermark_to_infinity()
        else:
            script = script.advance_watermark_to(at(step))
    options = PipelineOptions(["--streaming"])
    pipeline = BeamPipeline(options=options)
    changes, _ = pipeline | script | UpdateProfiles(RULES, clock=clock, **config)
    assert_that(changes | beam.Map(short), equal_to(expected))
    pipeline.run().wait_until_finish()
    return total_counts()


def test_an_exit_needs_no_further_event() -> None:
    run_script(
        [0, event(1, "Product Viewed"), 300, 601, 700],
        [("u1", "viewer", "entered", 1, "event"), ("u1", "viewer", "exited", 601, "time")],
        clock_at(700),
    )


def test_an_entry_by_absence_and_the_order_that_ends_it() -> None:
    run_script(
        [0, event(10, "Product Added"), 310, event(400, "Order Completed", total=5), 401],
        [("u1", "abandoner", "entered", 310, "time"), ("u1", "abandoner", "exited", 400, "event")],
        clock_at(500),
    )


def test_the_exit_lag_is_of_exits_by_time_and_of_no_entry() -> None:
    run_script(
        [0, event(10, "Product Added"), event(20, "Product Viewed"), 310, 620],
        [
            ("u1", "viewer", "entered", 20, "event"),
            ("u1", "abandoner", "entered", 310, "time"),
            ("u1", "viewer", "exited", 620, "time"),
        ],
        clock_at(700),
    )
    assert total_observations()["exit_lag_ms"] == Observed(1, 80_000, 80_000, 80_000)


def test_entries_by_time_alone_have_no_exit_lag() -> None:
    run_script(
        [0, event(10, "Product Added"), 310],
        [("u1", "abandoner", "entered", 310, "time")],
        clock_at(500),
    )
    assert "exit_lag_ms" not in total_observations()


class Cell:
    """A state cell that holds one profile."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def read(self) -> bytes:
        return self._encoded

    def write(self, encoded: bytes) -> None:
        self._encoded = encoded


class Timer:
    """A timer that only notes what it was set for."""

    def __init__(self) -> None:
        self.instants: list[Timestamp] = []

    def set(self, instant: Timestamp) -> None:
        self.instants.append(instant)


def test_exits_by_new_rules_have_no_exit_lag() -> None:
    """They stand at the instant of the profile's last event, which may be long past."""
    reset_totals()
    profile = Profile("u1", load_rules(RULES), DEFAULT_PROFILE_TTL_MS, None, START_MS)
    profile.apply(event(1, "Product Viewed"))
    renamed = RULES.replace("viewer:", "watcher:")
    update = _UpdateProfilesFn(renamed, DEFAULT_PROFILE_TTL_MS, None, clock_at(700))
    update.setup()
    update.start_bundle()
    outputs = update.on_deadline("u1", at(601), Cell(profile.encode()), Timer())
    update.finish_bundle()
    changes = [short(output.value) for output in outputs if isinstance(output, beam.pvalue.TaggedOutput)]
    assert changes == [
        ("u1", "viewer", "exited", 1, "rules"),
        ("u1", "watcher", "entered", 1, "rules"),
        ("u1", "watcher", "exited", 601, "time"),
    ]
    assert total_observations()["exit_lag_ms"] == Observed(1, 99_000, 99_000, 99_000)


def test_an_event_moves_the_deadline_and_the_early_wake_arms_the_next() -> None:
    run_script(
        [0, event(1, "Product Viewed"), 500, event(501, "Product Viewed"), 602, 1000, 1101, 1200],
        [("u1", "viewer", "entered", 1, "event"), ("u1", "viewer", "exited", 1101, "time")],
        clock_at(1200),
    )


def test_two_users_do_not_mix() -> None:
    run_script(
        [0, event(1, "Product Viewed"), event(200, "Product Viewed", user="u2"), 602, 801],
        [
            ("u1", "viewer", "entered", 1, "event"),
            ("u2", "viewer", "entered", 200, "event"),
            ("u1", "viewer", "exited", 601, "time"),
            ("u2", "viewer", "exited", 800, "time"),
        ],
        clock_at(900),
    )


def test_out_of_order_within_the_watermark_gives_a_correction() -> None:
    run_script(
        [0, event(500, "$page"), event(400, "Product Viewed"), 1000, 1001],
        [("u1", "viewer", "entered", 500, "late_event"), ("u1", "viewer", "exited", 1000, "time")],
        clock_at(1001),
    )


def test_a_late_event_whose_time_has_passed_already_is_decided_at_once() -> None:
    counts = run_script(
        [0, event(100, "Product Viewed"), 900, event(200, "Product Viewed"), 901],
        [("u1", "viewer", "entered", 100, "event"), ("u1", "viewer", "exited", 700, "time"),
         ("u1", "viewer", "entered", 700, "late_event"), ("u1", "viewer", "exited", 800, "time")],
        clock_at(901),
    )  # fmt: skip
    assert counts["events_late"] == 1
    assert counts["corrections"] == 1


def test_a_membership_without_a_length_is_counted() -> None:
    counts = run_script(
        [0, event(1, "Product Viewed"), 500, event(500, "Product Viewed", user="u2"), 602],
        [("u1", "viewer", "entered", 1, "event"), ("u2", "viewer", "entered", 500, "event"),
         ("u1", "viewer", "exited", 601, "time")],
        clock_at(700),
    )  # fmt: skip
    assert counts["profiles_created"] == 2
    assert "momentary_memberships" not in counts
    reset_totals()
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        log = [event(1, "Product Viewed", message_id=message_id) for message_id in "abc"]
        _ = pipeline | beam.Create([(one.profile_id, one) for one in log]) | UpdateProfiles(ONCE)
    counted = total_counts()
    assert (counted["segments_entered"], counted["segments_exited"]) == (1, 1)
    assert (counted["momentary_memberships"], counted["profiles_created"]) == (1, 1)


def test_a_repeat_changes_nothing() -> None:
    counts = run_script(
        [0, event(1, "Product Viewed"), event(1, "Product Viewed"), 602],
        [("u1", "viewer", "entered", 1, "event"), ("u1", "viewer", "exited", 601, "time")],
        clock_at(700),
    )
    assert counts["events_repeated"] == 1


def test_a_drain_changes_nothing_that_is_not_due() -> None:
    counts = run_script(
        [0, event(1, "Product Viewed"), 10, "infinity"],
        [("u1", "viewer", "entered", 1, "event")],
        clock_at(10),
    )
    assert counts["timers_drained"] == 1


def test_a_watermark_a_little_ahead_of_the_clock_is_no_drain() -> None:
    run_script(
        [0, event(1, "Product Viewed"), 602],
        [("u1", "viewer", "entered", 1, "event"), ("u1", "viewer", "exited", 601, "time")],
        clock_at(601 - 299),
    )


def test_a_silent_profile_is_forgotten_and_comes_back_new() -> None:
    ttl_ms = 2 * HOUR_S * 1000
    counts = run_script(
        [
            0,
            event(0, "Product Added"),
            event(1, "$page"),
            2 * HOUR_S + 2,
            event(3 * HOUR_S, "Product Viewed"),
            4 * HOUR_S,
        ],
        [
            ("u1", "abandoner", "entered", 300, "time"),
            ("u1", "abandoner", "exited", 3600, "time"),
            ("u1", "viewer", "entered", 3 * HOUR_S, "event"),
            ("u1", "viewer", "exited", 3 * HOUR_S + 600, "time"),
        ],
        clock_at(4 * HOUR_S),
        profile_ttl_ms=ttl_ms,
    )
    assert counts["profiles_forgotten"] == 1


@pytest.mark.parametrize("runner", ["FnApiRunner", LOCAL_RUNNER])
def test_bounded_time_ends_exactly_at_as_of(runner: str) -> None:
    as_of_ms = START_MS + 601_000
    with BeamPipeline(runner=runner) as pipeline:
        changes, snapshots = (
            pipeline
            | beam.Create([event(1, "Product Viewed"), event(2, "Product Viewed", user="u2")])
            | beam.Map(lambda e: (e.profile_id, e)).with_output_types(tuple[str, Event])
            | UpdateProfiles(RULES, as_of_ms=as_of_ms, clock=clock_at(10**6))
        )
        assert_that(
            changes | beam.Map(short),
            equal_to(
                [
                    ("u1", "viewer", "entered", 1, "event"),
                    ("u2", "viewer", "entered", 2, "event"),
                    ("u1", "viewer", "exited", 601, "time"),
                ]
            ),
        )
        assert_that(
            snapshots | beam.Map(lambda s: (s.profile_id, sorted(s.segments))),
            equal_to([("u1", ["viewer"]), ("u2", ["viewer"]), ("u1", [])]),
            label="snapshots",
        )


def test_elements_and_outputs_have_their_own_coders() -> None:
    pipeline = BeamPipeline()
    changes, snapshots = (
        pipeline
        | beam.Create([event(1, "$page")])
        | beam.Map(lambda e: (e.profile_id, e)).with_output_types(tuple[str, Event])
        | UpdateProfiles(RULES)
    )
    assert changes.element_type is Change
    assert snapshots.element_type is Snapshot
    for element_type in (Event, Change, Snapshot):
        assert type(beam.coders.registry.get_coder(element_type)).__name__ == "MsgspecCoder"


def test_events_dropped_for_a_states_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("profile", "size"):
        monkeypatch.setattr(f"segmentation.profile.{module}.MAX_STATE_BYTES", 1_000)
    reset_totals()
    skus = [[f"{index}-{number}" for number in range(100)] for index in range(4)]
    log = [
        event(index, "Product Viewed", message_id=f"m{index}", skus=some) for index, some in enumerate(skus)
    ]
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        keyed = beam.Create([(one.profile_id, one) for one in log])
        changes, _ = pipeline | keyed | UpdateProfiles(CAPPED, as_of_ms=START_MS + 10_000)
        assert_that(changes, equal_to([]))
    counted = total_counts()
    assert counted["profiles_capped"] >= 1
    assert counted["events_forgotten"] >= 1


def test_a_bounded_run_logs_its_progress(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("transforms.update_profiles.PROGRESS_EVENTS", 2)
    caplog.set_level("INFO", "transforms.update_profiles")
    log = [event(index, "Product Viewed", message_id=f"m{index}") for index in range(5)]
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        keyed = beam.Create([(one.profile_id, one) for one in log])
        _ = pipeline | keyed | UpdateProfiles(RULES, as_of_ms=START_MS + 10_000)
    assert [record.getMessage() for record in caplog.records] == ["2 events decided", "4 events decided"]


def test_the_event_lag_is_of_live_events() -> None:
    run_script(
        [0, event(10, "$page"), event(30, "$page"), 31],
        [],
        clock_at(70),
    )
    assert total_observations()["event_lag_ms"] == Observed(2, 100_000, 40_000, 60_000)


def test_a_bounded_run_has_no_lags() -> None:
    reset_totals()
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        keyed = beam.Create([("u1", event(1, "Product Viewed"))])
        _ = pipeline | keyed | UpdateProfiles(RULES, as_of_ms=START_MS + 10**6, clock=clock_at(10**6))
    assert total_observations().keys() == {"state_bytes"}


def test_an_id_that_occurs_again_with_another_content_is_counted() -> None:
    counts = run_script(
        [0, event(1, "$page", message_id="m"), event(1, "$page", message_id="m", path="/"), 2],
        [],
        clock_at(3),
    )
    assert (counts["events_repeated"], counts["events_repeated_differing"]) == (1, 1)


def test_a_value_that_a_definition_cannot_use_is_counted_with_its_place() -> None:
    reset_totals()
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        keyed = beam.Create([("u1", event(1, "Order Completed", total="twelve"))])
        _ = pipeline | keyed | UpdateProfiles(RULES, as_of_ms=START_MS + 10_000)
    assert total_counts()["values_skipped:no_number:measures.spent:properties.total"] == 1
