"""The main job's graph: the same for a log and for a subscription.

The labels of steps, and the names of state and timers in them, are public interface: a running job is
updated only if they stay.
"""

import apache_beam as beam

from pipeline.config import SegmentationConfig
from segmentation.events import Event
from transforms.clock import Clock, system_clock_ms
from transforms.parse_events import ParseEvents
from transforms.read_events import ReadLog, ReadSubscription
from transforms.update_profiles import UpdateProfiles
from transforms.write_changes import WriteChanges
from transforms.write_json_lines import WriteJsonLines
from transforms.write_segments import WriteSegments


def build(root: beam.Pipeline, config: SegmentationConfig, clock: Clock = system_clock_ms) -> None:
    """Adds the main job to a pipeline."""
    if config.input_subscription is None:
        read: beam.PTransform = ReadLog(config.events)
    else:
        read = ReadSubscription(config.input_subscription)
    messages = root | "ReadEvents" >> read
    events, dead_letters = messages | "ParseEvents" >> ParseEvents(config.as_of_ms, clock)
    changes, snapshots = (
        events
        | "KeyByProfile" >> beam.Map(_by_profile)
        | "UpdateProfiles"
        >> UpdateProfiles(config.rules_text, config.profile_ttl_ms, config.as_of_ms, clock)
    )

    store = {"redis_url": config.redis_url, "key_prefix": config.redis_key_prefix, "ttl_ms": config.profile_ttl_ms}
    snapshots | "WriteSegments" >> WriteSegments(**store)
    changes | "PublishChanges" >> WriteChanges(**store)
    (
        changes
        | "ToHistoryRows" >> beam.Map(lambda change: change.row())
        | "WriteHistory" >> WriteJsonLines(config.history_path, config.run)
    )
    (
        dead_letters
        | "ToDeadLetterRows" >> beam.Map(lambda dead_letter: dead_letter.row())
        | "WriteDeadLetters" >> WriteJsonLines(config.dead_letter_path, config.run)
    )


def _by_profile(event: Event) -> tuple[str, Event]:
    return event.profile_id, event
