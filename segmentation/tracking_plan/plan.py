"""The tracking plan: the JSON Schema of each event, and what happens to an event that violates it."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from segmentation.documents.problems import format_list, format_path
from segmentation.tracking_plan.work import AppliedSchemas

OnViolation = Literal["reject", "flag"]
MAX_VIOLATIONS = 20
"""The most violations that are reported of one message."""
MAX_LIST_BYTES = 32 * 1024 * 1024
"""The most memory for the violations of one message, before the first are taken; see `_is_listable`."""
MAX_LISTED_DEPTH = 200
"""The deepest that a message can nest for its violations to be listed; the validator copies no deeper values."""
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


_UNLISTED = Violation("", "violates the plan; it nests too deeply, or repeats too much, to list where")


class PlannedEvent(NamedTuple):
    """The plan of one event."""

    on_violation: OnViolation
    is_valid: Callable[[dict[str, Any]], bool]
    iter_errors: Callable[[dict[str, Any]], Iterator[ValidationError]]
    applied: AppliedSchemas
    """The schemas that apply to the message and its parts."""


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

        There is one that names no field if the message nests too deeply or is too large to list them.

        Args:
          name: the event's name.
          message: the whole message, parsed by `parse_event_and_message`, so without lone surrogates.
        """
        planned = self._events.get(name)
        if planned is None or planned.is_valid(message):
            return ()
        if not _is_listable(message, planned.applied):
            return (_UNLISTED,)
        errors = itertools.islice(planned.iter_errors(message), MAX_VIOLATIONS)
        return tuple(_violation(error) for error in errors)


def format_violations(violations: Sequence[Violation]) -> str:
    """Returns the violations on one line, for the message of a dead letter."""
    return "; ".join(map(str, violations))


_BYTES_PER_VALUE = 64
_BYTES_PER_SEGMENT = 160
"""The memory of a value besides its text, and of each part of the three paths of a violation."""


def _is_listable(message: dict[str, Any], applied: AppliedSchemas) -> bool:
    """Returns whether the validator can list the violations of a message within its limits.

    It finds all of them at once, each with a copy of the violating value. A list of 10,000 violations deep inside a
    message, or of a hundred in each of many levels, would take gigabytes, and a copy of a very deep value fails.
    This counts what they could take if each schema found all the violations that it can.
    """
    total = 0
    # A value, what applies to it, its level, the segments of its path, and how many violations contain a copy of it
    waiting: list[tuple[Any, AppliedSchemas | None, int, int, int]] = [(message, applied, 1, 0, 0)]
    while waiting:
        value, schemas, level, segments, copies = waiting.pop()
        if schemas is not None:
            segments += 1 + schemas.depth
            copies += schemas.errors
            total += schemas.errors * segments * _BYTES_PER_SEGMENT + schemas.value_bytes
        total += copies * (_BYTES_PER_VALUE + (len(value) if isinstance(value, str) else 0))
        if total > MAX_LIST_BYTES or level > MAX_LISTED_DEPTH:
            return False
        if isinstance(value, dict):
            for key, part in value.items():
                total += copies * (_BYTES_PER_VALUE + len(key))
                below = None if schemas is None else schemas.named.get(key, schemas.other)
                waiting.append((part, below, level + 1, segments, copies))
        elif isinstance(value, list):
            for index, part in enumerate(value):
                below = None if schemas is None else schemas.item(index)
                waiting.append((part, below, level + 1, segments, copies))
    return True


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
