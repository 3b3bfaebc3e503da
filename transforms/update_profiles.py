"""Keeps the state of each profile, and decides which segments the profile is in."""

import dataclasses
import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)

import transforms.coders  # noqa: F401 (registers the coders of Event, Change and Snapshot)
from segmentation.events import Event
from segmentation.memberships import Change, Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Outcome, Profile, open_profile
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from stores.clock import Clock, system_clock_ms
from transforms.step_metrics import StepMetrics
from transforms.timers import EventTimers, timer_instant

_LOGGER = logging.getLogger(__name__)
_STEP = "UpdateProfiles"
PROGRESS_EVENTS = 100_000
SKIPPED_PREFIX = "values_skipped:"
"""The names of the counters of skipped values begin with it: `values_skipped:PROBLEM:DEFINITION:PATH`."""
_CHANGES: Literal["changes"] = "changes"
Output = Snapshot | beam.pvalue.TaggedOutput[Literal["changes"], Change]


class UpdatedProfiles(NamedTuple):
    """The two outputs of `UpdateProfiles`."""

    changes: beam.PCollection[Change]
    snapshots: beam.PCollection[Snapshot]


@dataclasses.dataclass
class UpdateProfiles(beam.PTransform):
    """Keeps one state cell and one event-time timer per profile; emits membership changes and snapshots.

    The outputs are `UpdatedProfiles`. Each event, and each timer when the watermark passes its instant, emits the
    changes in order, and one snapshot if a served value changed. An event first advances the profile time to its
    timestamp. A late event is added to the past; the changes that it causes are emitted at the profile time, as
    corrections. A repeated event emits nothing; `events_repeated_differing` counts those that differ from the first
    event of their message id. `values_skipped:PROBLEM:DEFINITION:PATH` counts values that a condition skips.

    A bounded run ends at `as_of_ms`. In a live run, a timer that fires more than five minutes ahead of processing time
    is fired by a drain: it changes nothing and sets no timer.

    Args:
      rules_text: the text of the definitions, which must be valid.
      profile_ttl_ms: how long a profile without events is kept; never shorter than the longest window.
      as_of_ms: the as-of instant of a bounded run; None in a live run.
      clock: returns the processing time.
    """

    rules_text: str = dataclasses.field(repr=False)
    profile_ttl_ms: int = DEFAULT_PROFILE_TTL_MS
    as_of_ms: int | None = None
    clock: Clock = system_clock_ms

    def expand(self, events: beam.PCollection[tuple[str, Event]]) -> Any:
        update = _UpdateProfilesFn(self.rules_text, self.profile_ttl_ms, self.as_of_ms, self.clock)
        decide = beam.ParDo(update)
        decide.label = (
            "Decide"  # the default is the class's name, and running jobs' state depends on the label
        )
        updated = events | "Update" >> decide.with_outputs(_CHANGES, main="snapshots")
        return UpdatedProfiles(updated[_CHANGES], updated.snapshots)


class _UpdateProfilesFn(beam.DoFn):
    PROFILE = ReadModifyWriteStateSpec("profile", coders.BytesCoder())
    DEADLINE = TimerSpec("deadline", TimeDomain.WATERMARK)

    def __init__(self, rules_text: str, profile_ttl_ms: int, as_of_ms: int | None, clock: Clock) -> None:
        self._rules_text = rules_text
        self._profile_ttl_ms = profile_ttl_ms
        self._as_of_ms = as_of_ms
        self._timers = EventTimers(as_of_ms)
        self._clock = clock

    def setup(self) -> None:
        self._rules = rules_of(self._rules_text)

    def start_bundle(self) -> None:
        self._metrics = StepMetrics(_STEP)
        self._events = 0

    def process(
        self,
        element: tuple[str, Event],
        cell: Any = beam.DoFn.StateParam(PROFILE),
        timer: Any = beam.DoFn.TimerParam(DEADLINE),
    ) -> Iterable[Output]:
        profile_id, event = element
        now_ms = self._clock()
        encoded = cell.read()
        if encoded is None:
            self._metrics.count("profiles_created")
        profile = open_profile(profile_id, self._rules, self._profile_ttl_ms, encoded, now_ms)
        outcome = profile.apply(event)
        if outcome.repeated:
            self._metrics.count("events_repeated")
            if outcome.differs:
                self._metrics.count("events_repeated_differing")
            return ()
        if outcome.late:
            self._metrics.count("events_late")
        for problem, owner, path in outcome.skipped_values:
            self._metrics.count(f"{SKIPPED_PREFIX}{problem}:{owner}:{path}")
        if self._as_of_ms is None:
            self._metrics.observe("event_lag_ms", now_ms - event.timestamp_ms)
        self._events += 1
        if self._events % PROGRESS_EVENTS == 0:
            self._report_progress()
        self._keep(profile, cell, timer)
        return self._emit(outcome)

    @on_timer(DEADLINE)
    def on_deadline(
        self,
        profile_id: Any = beam.DoFn.KeyParam,
        fired: Any = beam.DoFn.TimestampParam,
        cell: Any = beam.DoFn.StateParam(PROFILE),
        timer: Any = beam.DoFn.TimerParam(DEADLINE),
    ) -> Iterable[Output]:
        now_ms = self._clock()
        fired_ms = fired.micros // 1000
        encoded = cell.read()
        if encoded is None:
            return ()
        if self._timers.is_drain(fired_ms, now_ms):
            self._metrics.count("timers_drained")
            return ()
        self._metrics.count("timers_fired")
        profile = open_profile(profile_id, self._rules, self._profile_ttl_ms, encoded, now_ms)
        profile.state.armed_ms = 0
        outcome = profile.advance(self._timers.time_runs_to_ms(fired_ms))
        if self._as_of_ms is None:
            for change in outcome.changes:
                # exits by new rules are excluded: they are at the profile time, which can be long ago
                if change.change == "exited" and change.cause == "time":
                    self._metrics.observe("exit_lag_ms", now_ms - change.event_time_ms)
        self._keep(profile, cell, timer)
        return self._emit(outcome)

    def finish_bundle(self) -> None:
        self._metrics.flush()

    def _keep(self, profile: Profile, cell: Any, timer: Any) -> None:
        if profile.is_empty:
            cell.clear()
            self._metrics.count("profiles_forgotten")
            return
        deadline_ms, state = profile.deadline(), profile.state
        if self._timers.is_due(deadline_ms, state.armed_ms):
            state.armed_ms = deadline_ms
            timer.set(timer_instant(deadline_ms))
            self._metrics.count("timers_set")
        encoded = profile.encode()
        cell.write(encoded)
        self._metrics.observe("state_bytes", len(encoded))

    def _emit(self, outcome: Outcome) -> Iterable[Output]:
        if outcome.dropped_events:
            self._metrics.count("events_forgotten", outcome.dropped_events)
            self._metrics.count("profiles_capped")
        if outcome.snapshot is None:
            return ()  # without a snapshot there are no changes
        if not outcome.changes:
            return (outcome.snapshot,)
        if outcome.momentary_memberships:
            self._metrics.count("momentary_memberships", outcome.momentary_memberships)
        for change in outcome.changes:
            self._metrics.count("segments_entered" if change.change == "entered" else "segments_exited")
            if change.correction:
                self._metrics.count("corrections")
        changes = [beam.pvalue.TaggedOutput(_CHANGES, change) for change in outcome.changes]
        return [*changes, outcome.snapshot]

    def _report_progress(self) -> None:
        if self._as_of_ms is not None:
            _LOGGER.info("%s events decided", f"{self._events:,}")


@lru_cache(maxsize=4)
def rules_of(rules_text: str) -> Rules:
    """Returns the rules compiled from a text, once per process."""
    return load_rules(rules_text)
