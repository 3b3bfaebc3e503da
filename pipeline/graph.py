"""The main job's graph: the same for a log and for a subscription.

The labels of steps, and the names of state and timers in them, are public interface: a running job is
updated only if they stay.
"""

from collections.abc import Callable
from typing import Any

import apache_beam as beam

from pipeline.config import SegmentationConfig
from segmentation.dead_letters import DeadLetter
from segmentation.events import Event
from segmentation.memberships import Change
from stores.clock import Clock, system_clock_ms
from stores.history.table_schemas import table_schema
from transforms.append_rows import AppendRows
from transforms.insert_rows import InsertRows
from transforms.parse_events import ParseEvents
from transforms.publish_rows import PublishRows
from transforms.read_events import ReadLog, ReadSubscription
from transforms.update_profiles import UpdateProfiles
from transforms.write_changes import WriteChanges
from transforms.write_json_lines import WriteJsonLines
from transforms.write_segments import WriteSegments

CHANGE_FILTERS = ("change_id", "profile_id", "segment", "change", "cause", "correction")
DEAD_LETTER_FILTERS = ("step", "reason")


def build(
    root: beam.Pipeline,
    config: SegmentationConfig,
    clock: Clock = system_clock_ms,
    before_pull: Callable[[], None] | None = None,
) -> None:
    """Adds the main job to a pipeline.

    Args:
      root: the pipeline.
      config: what the job needs to know.
      clock: the processing time.
      before_pull: of `ReadSubscription`; for a live run on this machine.
    """
    messages = root | "ReadEvents" >> _read(config, before_pull)
    events, dead_letters = messages | "ParseEvents" >> ParseEvents(
        config.as_of_ms, clock, config.tracking_plan
    )
    changes, snapshots = (
        events
        | "KeyByProfile" >> beam.Map(_by_profile)
        | "UpdateProfiles" >> UpdateProfiles(config.rules_text, config.profile_ttl_ms, config.as_of_ms, clock)
    )

    store = config.redis, config.redis_key_prefix, config.profile_ttl_ms
    snapshots | "WriteSegments" >> WriteSegments(*store)
    changes | "WriteChanges" >> WriteChanges(*store)

    rows = changes | "ToHistoryRows" >> beam.Map(_history_row)
    if config.changes_topic is not None:
        rows | "PublishChanges" >> PublishRows(config.changes_topic, CHANGE_FILTERS)
    if config.history_path is not None:
        rows | "WriteHistory" >> WriteJsonLines(config.history_path, config.run)
    if config.history_table is not None:
        refused = rows | "WriteHistory" >> _insert_history(config, clock)
        dead_letters = (dead_letters, refused) | "AllDeadLetters" >> beam.Flatten()

    (
        dead_letters
        | "ToDeadLetterRows" >> beam.Map(_dead_letter_row)
        | "WriteDeadLetters" >> _write_dead_letters(config)
    )


def _read(config: SegmentationConfig, before_pull: Callable[[], None] | None) -> beam.PTransform:
    if config.input_subscription is not None:
        return ReadSubscription(config.input_subscription, before_pull)
    return ReadLog(config.events)


def _insert_history(config: SegmentationConfig, clock: Clock) -> beam.PTransform:
    assert config.history_table is not None
    service = config.storage_write_service
    if service is None:
        return InsertRows(config.history_table, "WriteHistory", clock)
    return AppendRows(config.history_table, table_schema("segment_changes"), service, "WriteHistory", clock)


def _write_dead_letters(config: SegmentationConfig) -> beam.PTransform:
    if config.dead_letter_path is not None:
        return WriteJsonLines(config.dead_letter_path, config.run)
    assert config.dead_letter_topic is not None
    return PublishRows(config.dead_letter_topic, DEAD_LETTER_FILTERS)


def _by_profile(event: Event) -> tuple[str, Event]:
    return event.profile_id, event


def _history_row(change: Change) -> dict[str, Any]:
    return change.row()


def _dead_letter_row(dead_letter: DeadLetter) -> dict[str, Any]:
    return dead_letter.row()
