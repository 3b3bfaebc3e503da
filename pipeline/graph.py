"""The graph of the main job. A bounded run and a live run differ only in the step that reads.

The labels of steps, and the ids of their state and timers, are public interface: Dataflow updates a running job only
if they stay the same.
"""

from typing import Any

import apache_beam as beam

from pipeline.config import Log, SegmentationConfig, Subscription, Table, Topic
from segmentation.dead_letters import DeadLetter
from segmentation.events import Event, EventLimits
from segmentation.memberships import Change
from segmentation.messages import Message
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

READ_EVENTS = "ReadEvents"
CHANGE_FILTERS = ("change_id", "profile_id", "segment", "change", "cause", "correction")
DEAD_LETTER_FILTERS = ("step", "reason")


def read_messages(source: Log | Subscription) -> beam.PTransform:
    """Returns the step that emits the source's messages; its label is `READ_EVENTS`."""
    return ReadLog(source.paths) if isinstance(source, Log) else ReadSubscription(source.name)


def build(
    messages: beam.PCollection[Message], config: SegmentationConfig, clock: Clock = system_clock_ms
) -> None:
    """Adds the steps of the main job to a pipeline, after the step that reads.

    Args:
      messages: the messages of the source, or those of a test.
      config: the configuration of the job.
      clock: returns the processing time in Unix milliseconds.
    """
    limits = EventLimits(config.ignored_ids, oldest_age_ms=config.profile_ttl_ms)
    parse = ParseEvents(config.as_of_ms, clock, config.tracking_plan, limits)
    events, unparsed = messages | "ParseEvents" >> parse
    changes, snapshots = (
        events
        | "KeyByProfile" >> beam.Map(_by_profile)
        | "UpdateProfiles" >> UpdateProfiles(config.rules_text, config.profile_ttl_ms, config.as_of_ms, clock)
    )
    failures = [unparsed]

    store = config.redis, config.redis_key_prefix, config.profile_ttl_ms
    snapshots | "WriteSegments" >> WriteSegments(*store, config.idle_ttl_ms)
    changes | "WriteChanges" >> WriteChanges(*store)

    rows = changes | "ToHistoryRows" >> beam.Map(_history_row)
    if config.changes_topic is not None:
        rows | "PublishChanges" >> PublishRows(config.changes_topic, CHANGE_FILTERS)
    if isinstance(config.history, Table):
        failures.append(rows | "WriteHistory" >> _insert_history(config.history, clock))
    else:
        rows | "WriteHistory" >> WriteJsonLines(config.history.prefix, config.run)

    (
        failures
        | "AllDeadLetters" >> beam.Flatten()
        | "ToDeadLetterRows" >> beam.Map(_dead_letter_row)
        | "WriteDeadLetters" >> _write_dead_letters(config)
    )


def _insert_history(table: Table, clock: Clock) -> beam.PTransform:
    service = table.storage_write_service
    if service is None:
        return InsertRows(table.name, "WriteHistory", clock)
    return AppendRows(table.name, table_schema("segment_changes"), service, "WriteHistory", clock)


def _write_dead_letters(config: SegmentationConfig) -> beam.PTransform:
    if isinstance(config.dead_letters, Topic):
        return PublishRows(config.dead_letters.name, DEAD_LETTER_FILTERS)
    return WriteJsonLines(config.dead_letters.prefix, config.run)


def _by_profile(event: Event) -> tuple[str, Event]:
    return event.profile_id, event


def _history_row(change: Change) -> dict[str, Any]:
    return change.row()


def _dead_letter_row(dead_letter: DeadLetter) -> dict[str, Any]:
    return dead_letter.row()
