"""The tracking plan: what each event must look like, as JSON Schema, and what becomes of one that does not."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from segmentation.documents.problems import listed, shown_path

OnViolation = Literal["reject", "flag"]
MAX_VIOLATIONS = 20
"""Of one message; what else is wrong with it is not told."""
MASK = "the value"
"""Stands in messages where a validator would show what the field held."""


class Violation(NamedTuple):
    """One way in which a message breaks the plan."""

    path: str
    """The field, such as `properties.products[0].price`; empty for the message itself."""
    message: str
    """What is wrong with it; never what the field held."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PlannedEvent(NamedTuple):
    """What the plan says of one event."""

    on_violation: OnViolation
    is_valid: Callable[[dict[str, Any]], bool]
    iter_errors: Callable[[dict[str, Any]], Iterator[ValidationError]]


class TrackingPlan:
    """The compiled plan of a shop's events. What it does not name, it lets pass.

    An event's name is that of `segmentation.events.Event`: a track call's `event`, else `$page`, `$screen`,
    `$identify`, `$group` or `$alias`.
    """

    def __init__(self, events: Mapping[str, PlannedEvent]) -> None:
        self._events = dict(events)

    @property
    def names(self) -> tuple[str, ...]:
        """The events that the plan names, in order."""
        return tuple(sorted(self._events))

    def __contains__(self, name: str) -> bool:
        """Whether the plan names an event."""
        return name in self._events

    def on_violation(self, name: str) -> OnViolation:
        """Returns what becomes of a violating event.

        Raises:
          KeyError: the plan does not name the event; then it has no violations either.
        """
        return self._events[name].on_violation

    def violations(self, name: str, message: dict[str, Any]) -> tuple[Violation, ...]:
        """Returns how a message breaks the plan, the first `MAX_VIOLATIONS` ways; nothing where it keeps it.

        Args:
          name: the event's name.
          message: the whole message, parsed, without halves of surrogate pairs (as `parse_event` takes it).
        """
        planned = self._events.get(name)
        if planned is None or planned.is_valid(message):
            return ()
        errors = itertools.islice(planned.iter_errors(message), MAX_VIOLATIONS)
        return tuple(_violation(error) for error in errors)


def told(violations: Sequence[Violation]) -> str:
    """Returns violations on one line, as a dead letter tells them."""
    return "; ".join(map(str, violations))


def _violation(error: ValidationError) -> Violation:
    path = list(error.instance_path)
    kind: Any = error.kind
    match kind:
        case ValidationErrorKind.Required():
            return Violation(shown_path([*path, kind.property]), "is missing")
        case ValidationErrorKind.Type():
            return Violation(shown_path(path), f"expected {' or '.join(kind.types)}")
        case ValidationErrorKind.Enum():
            return Violation(shown_path(path), f"expected one of {listed(map(str, kind.options))}")
        case ValidationErrorKind.AdditionalProperties() | ValidationErrorKind.UnevaluatedProperties():
            return Violation(shown_path([*path, kind.unexpected[0]]), "is not in the plan")
        case ValidationErrorKind.FalseSchema():
            return Violation(shown_path(path), "is not in the plan")
        case ValidationErrorKind.PropertyNames():
            return Violation(shown_path(path), "a key is not in the plan")
        case _:
            return Violation(shown_path(path), error.message)
