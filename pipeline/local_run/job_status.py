"""How far a live run on this machine has come: which messages are decided, and their status file."""

import json
import logging
import os
from pathlib import Path
from typing import NamedTuple

from apache_beam.io.gcp.pubsub import PubsubMessage

from segmentation.control import CONTROL_ATTRIBUTE
from segmentation.messages import Message
from stores.private_files import replace_private
from transforms.read_events import to_message
from transforms.step_metrics import total_counts

STATUS_VARIABLE = "LIVE_STATUS_FILE"
"""An environment variable: the path of the status file. Without it, none is written."""
_LOGGER = logging.getLogger(__name__)


class Progress(NamedTuple):
    """Messages of one run."""

    events: int = 0
    """How many, without heartbeats."""
    newest_publish_time_ms: int | None = None
    """The publish time of the newest one, in Unix milliseconds; heartbeats count."""


_pulled = Progress()  # of this process: Beam copies steps, so that none of them can have the total
_decided = Progress()
_has_warned = False


def to_counted_message(message: PubsubMessage) -> Message:
    """Converts a message, and counts it as pulled."""
    global _pulled
    converted = to_message(message)
    is_event = CONTROL_ATTRIBUTE not in converted.attributes
    newest_ms = max(converted.publish_time_ms or 0, _pulled.newest_publish_time_ms or 0)
    _pulled = Progress(_pulled.events + is_event, newest_ms)
    return converted


def note_decided() -> None:
    """Notes that the results of all pulled messages are written."""
    global _decided
    _decided = _pulled


def reset_status() -> None:
    """Sets all to zero, at the start of a run."""
    global _pulled, _decided, _has_warned
    _pulled = _decided = Progress()
    _has_warned = False


def write_status() -> None:
    """Writes the status file, as one JSON object, if the environment names one.

    The first failure to write is logged as a warning and later ones are ignored, because the run loses nothing by it.
    """
    global _has_warned
    name = os.environ.get(STATUS_VARIABLE)
    if not name:
        return
    decided, counts = _decided, total_counts()
    status = {
        "events_decided": decided.events,
        "newest_publish_time_ms": decided.newest_publish_time_ms,
        "stale_writes": counts.get("redis_writes_stale", 0),
        "taken_over_writes": counts.get("redis_writes_taken_over", 0),
    }
    path = Path(name)
    try:
        replace_private(path, f"{json.dumps(status)}\n".encode())
    except OSError as error:
        if _has_warned:
            return
        _has_warned = True
        _LOGGER.warning("the status file %s cannot be written: %s", path, error.strerror)
