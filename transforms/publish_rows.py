"""Publishes rows to a Pub/Sub topic."""

import dataclasses
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.io.gcp.pubsub import PubsubMessage

MAX_ATTRIBUTE_BYTES = 1024
"""Pub/Sub rejects a message with a longer attribute."""


@dataclasses.dataclass
class PublishRows(beam.PTransform):
    """Publishes each row as a JSON message; emits nothing. At least once.

    Args:
      topic: projects/P/topics/T.
      filter_fields: fields that are also attributes of the message, so that subscriptions can filter by them. Null
        becomes the empty string. A value that is too long for an attribute is only in the message.
    """

    topic: str
    filter_fields: tuple[str, ...]

    def expand(self, rows: beam.PCollection[dict[str, Any]]) -> Any:
        return (
            rows
            | "ToMessage" >> beam.Map(_to_message, self.filter_fields).with_output_types(PubsubMessage)
            | "Publish" >> beam.io.WriteToPubSub(self.topic, with_attributes=True)
        )


def _to_message(row: dict[str, Any], filter_fields: tuple[str, ...]) -> PubsubMessage:
    attributes = {field: _attribute(row[field]) for field in filter_fields}
    fitting = {field: text for field, text in attributes.items() if len(text.encode()) <= MAX_ATTRIBUTE_BYTES}
    return PubsubMessage(orjson.dumps(row), fitting)


def _attribute(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
