"""Turns a request's events into messages for Pub/Sub; a bad event becomes a dead letter."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson

from segmentation.dead_letters import DeadLetter
from segmentation.events import EventLimits, InvalidEvent, parse_event_and_message
from segmentation.identifiers import DEFAULT_IGNORED_IDS, IgnoredIds
from services.collector.completion import Completion, Received
from services.collector.fields import object_fields, text

STEP = "Collector"
"""The name of the step in dead letters."""


class PlanViolation(NamedTuple):
    """The violations of one event, and what the tracking plan does with it."""

    on_violation: Literal["reject", "flag"]
    message: str
    """All violations, with the fields' paths; it contains no user data."""


PlanCheck = Callable[[str, dict[str, Any]], PlanViolation | None]
"""Compares a valid event, given by its name and its parsed message, with the tracking plan; returns None if it has no
violation.
"""


@dataclass(frozen=True)
class Refusal:
    """An event that became a dead letter."""

    index: int
    """The event's place in the batch, from 0."""
    reason: str
    message: str
    """The mistake, with the path of the field, without user data."""


class Messages(NamedTuple):
    """The messages to publish for one request, and what was found in its events."""

    events: list[bytes]
    dead_letters: list[bytes]
    refusals: list[Refusal]
    """One for each dead letter."""
    flagged: int
    """The number of events that violate the tracking plan and are published nevertheless."""
    ignored_ids: int
    """The number of ids that stand for no id, such as `undefined`."""
    repairs: Counter[str]
    """The number of events for each mistake in a device's times; see `EventTime`."""

    @property
    def reasons(self) -> list[str]:
        """The reason of each dead letter."""
        return [refusal.reason for refusal in self.refusals]


def to_messages(
    events: list[bytes],
    received: Received,
    plan_check: PlanCheck | None = None,
    ignored: IgnoredIds = DEFAULT_IGNORED_IDS,
) -> Messages:
    """Returns the messages of a request's events; a bad event becomes a dead letter and does not affect the others."""
    limits = EventLimits(ignored)
    messages = Messages([], [], [], 0, 0, Counter())
    flagged = ignored_ids = 0
    for index, (payload, problem, repairs) in enumerate(Completion(received).complete(events)):
        messages.repairs.update(repairs)
        try:
            if problem is not None:
                raise problem
            parsed = parse_event_and_message(payload, received.received_at_ms, limits)
            violation = plan_check(parsed.event.name, parsed.message) if plan_check is not None else None
            if violation is not None and violation.on_violation == "reject":
                raise InvalidEvent("tracking_plan", violation.message)
        except InvalidEvent as error:
            letter = DeadLetter(payload, STEP, error.reason, str(error), received.received_at_ms)
            messages.dead_letters.append(orjson.dumps(letter.row()))
            messages.refusals.append(Refusal(index, error.reason, str(error)))
            ignored_ids += _ignored_ids(payload, ignored) if error.reason == "missing_id" else 0
        else:
            messages.events.append(payload)
            flagged += violation is not None
            ignored_ids += parsed.ignored_ids
    return messages._replace(flagged=flagged, ignored_ids=ignored_ids)


def _ignored_ids(payload: bytes, ignored: IgnoredIds) -> int:
    fields = object_fields(payload) or {}
    ids = (text(fields.get(name)) or "" for name in ("userId", "anonymousId"))
    return sum(ignored.ignores(identifier) for identifier in ids)
