"""The tracking plan: the JSON Schema of each event, and what happens to an event that violates it."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from segmentation.documents.problems import format_list, format_path

OnViolation = Literal["reject", "flag"]
MAX_VIOLATIONS = 20
"""The most violations that are reported of one message."""
MASK = "the value"
"""Replaces the field's value in messages of the validator, because messages never contain user data."""


class Violation(NamedTuple):
    """One field of an event that violates the plan."""

    path: str
    """The path of the field, such as `properties.products[0].price`; empty for the message itself."""
    message: str
    """The violation; it never contains the field's value."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PlannedEvent(NamedTuple):
    """The plan of one event."""

    on_violation: OnViolation
    is_valid: Callable[[dict[str, Any]], bool]
    iter_errors: Callable[[dict[str, Any]], Iterator[ValidationError]]


class TrackingPlan:
    """The compiled plan. An event that the plan does not name has no violations.

    An event's name is that of `segmentation.events.Event`: a track call's `event`, else `$page`, `$screen`,
    `$identify`, `$group` or `$alias`.
    """

    def __init__(self, events: Mapping[str, PlannedEvent]) -> None:
        self._events = dict(events)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the planned events, in order."""
        return tuple(sorted(self._events))

    def __contains__(self, name: str) -> bool:
        """Whether the plan names an event."""
        return name in self._events

    def on_violation(self, name: str) -> OnViolation:
        """Returns what happens to an event that violates the plan.

        Raises:
          KeyError: the plan does not name the event.
        """
        return self._events[name].on_violation

    def violations(self, name: str, message: dict[str, Any]) -> tuple[Violation, ...]:
        """Returns the first `MAX_VIOLATIONS` violations of a message.

        Args:
          name: the event's name.
          message: the whole message, parsed by `parse_event_and_message`, so without lone surrogates.
        """
        planned = self._events.get(name)
        if planned is None or planned.is_valid(message):
            return ()
        errors = itertools.islice(planned.iter_errors(message), MAX_VIOLATIONS)
        return tuple(_violation(error) for error in errors)


def format_violations(violations: Sequence[Violation]) -> str:
    """Returns the violations on one line, for the message of a dead letter."""
    return "; ".join(map(str, violations))


def _violation(error: ValidationError) -> Violation:
    path = list(error.instance_path)
    kind: Any = error.kind
    match kind:
        case ValidationErrorKind.Required():
            return Violation(format_path([*path, kind.property]), "is missing")
        case ValidationErrorKind.Type():
            return Violation(format_path(path), f"expected {' or '.join(kind.types)}")
        case ValidationErrorKind.Enum():
            return Violation(format_path(path), f"expected one of {format_list(map(str, kind.options))}")
        case ValidationErrorKind.AdditionalProperties() | ValidationErrorKind.UnevaluatedProperties():
            return Violation(format_path([*path, kind.unexpected[0]]), "is not in the plan")
        case ValidationErrorKind.FalseSchema():
            return Violation(format_path(path), "is not in the plan")
        case ValidationErrorKind.PropertyNames():
            return Violation(format_path(path), "a key is not in the plan")
        case _:
            return Violation(format_path(path), error.message)
