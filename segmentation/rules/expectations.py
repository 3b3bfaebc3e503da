"""What conditions expect of the values in events, to count the values that they skip.

A condition that meets a text in place of a number, or a list in place of an object, ignores the event without a trace:
nobody is in the segment, and nothing tells why. These checks find such values. They change no decision.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from segmentation.matching.paths import PathPart, parse_path
from segmentation.matching.values import as_number, is_scalar
from segmentation.rules.schema import conditions
from segmentation.rules.schema.definitions import Definitions, PointsOf
from segmentation.rules.schema.measures import EventSelection, Measured

Problem = Literal["no_number", "other_type"]
Check = Callable[[dict[str, Any]], Problem | None]
"""Returns what is wrong with the value at a path of a message; None if it is right or missing."""

_NUMERIC_TESTS = {"at_least", "at_most", "more_than", "less_than"}
_TEXT_TESTS = {"starts_with", "ends_with", "matches"}
_SCALAR_TESTS = {"equals", "not_equals", "in", "not_in"}
_NUMERIC_MEASURES = {"sum", "average", "min", "max"}
_ABSENT: tuple[Any, ...] = (None, [])
"""PHP writes an empty object as an empty list."""
_SCALAR_MEASURES = {"distinct", "first", "last"}


class SkippedValue(NamedTuple):
    """A value that a condition skips."""

    problem: Problem
    """`no_number`: a text, true or false where a number is needed; `other_type`: an object or a list where none is
    expected, or none where one is expected.
    """
    owner: str
    """The definition that skips it, such as `segments.high_value`."""
    path: str


class _Expectation(NamedTuple):
    path: str
    check: Check
    owners: tuple[str, ...]


class Expectations:
    """The checks of the values that each event can have."""

    def __init__(self, definitions: Definitions) -> None:
        self._owners: dict[str, dict[tuple[str, str], dict[str, None]]] = {"*": {}}
        for owner, names, path, expected in _expected_by(definitions):
            for name in names:
                self._owners.setdefault(name, {}).setdefault((path, expected), {})[owner] = None
        self._of_every_event = self._of("*")
        self._by_name = {"*": self._of_every_event}

    def skipped(self, name: str, message: dict[str, Any]) -> list[SkippedValue]:
        """Returns the values of an event that conditions skip; missing values are none."""
        return [
            SkippedValue(problem, owner, path)
            for path, check, owners in self._by_name.get(name) or self._first_of(name)
            if (problem := check(message)) is not None
            for owner in owners
        ]

    def _first_of(self, name: str) -> tuple[_Expectation, ...]:
        """Returns the checks of an event, and keeps them if the definitions know its name.

        Not while loading, because it takes the product of the names and of what is expected of every event.
        """
        if name not in self._owners:
            return self._of_every_event
        self._by_name[name] = self._of(name)
        return self._by_name[name]

    def _of(self, name: str) -> tuple[_Expectation, ...]:
        merged = {key: dict(found) for key, found in self._owners[name].items()}
        for key, found in self._owners["*"].items():
            merged.setdefault(key, {}).update(found)
        return tuple(
            _Expectation(path, _compile_check(path, expected), tuple(found))
            for (path, expected), found in merged.items()
        )


_Expected = tuple[str, Sequence[str], str, str]
"""(owner, event names, path, what the value must be: a number, a text, a scalar)."""


def _expected_by(definitions: Definitions) -> Iterator[_Expected]:
    for name, measure in definitions.measures.items():
        yield from _of_measured(f"measures.{name}", measure)
    for name, score in definitions.scores.items():
        for entry in score.earn:
            yield from _of_selection(f"scores.{name}", entry)
            if isinstance(entry.points, PointsOf):
                yield f"scores.{name}", entry.event, entry.points.of, "number"
    for name, segment in definitions.segments.items():
        yield from _of_condition(f"segments.{name}", segment.when)


def _of_condition(owner: str, when: conditions.Condition) -> Iterator[_Expected]:
    match when:
        case conditions.AllCondition():
            for inner in when.all:
                yield from _of_condition(owner, inner)
        case conditions.AnyCondition():
            for inner in when.any:
                yield from _of_condition(owner, inner)
        case conditions.NotCondition():
            yield from _of_condition(owner, when.not_)
        case conditions.EventCondition():
            yield from _of_measured(owner, when)
        case conditions.SequenceCondition():
            parts: list[conditions.StepDefinition | conditions.ThenNotDefinition] = [
                *when.sequence,
                *when.then_not,
            ]
            for part in parts:
                yield from _of_selection(owner, part)
                if same := part.same or when.same:
                    yield owner, part.event, same, "scalar"
        case conditions.TraitCondition():
            if expected := _expected_of(when.tests()):
                yield owner, ("$identify",), f"traits.{when.trait}", expected


def _of_measured(owner: str, measured: Measured) -> Iterator[_Expected]:
    yield from _of_selection(owner, measured)
    name, path, _ = measured.measure()
    if path is not None and name in _NUMERIC_MEASURES:
        yield owner, measured.event, path, "number"
    elif path is not None and name in _SCALAR_MEASURES:
        yield owner, measured.event, path, "scalar"


def _of_selection(owner: str, selection: EventSelection) -> Iterator[_Expected]:
    for path, tests in selection.where.items():
        if expected := _expected_of(tests.tests()):
            yield owner, selection.event, path, expected


def _expected_of(tests: dict[str, Any]) -> str | None:
    """Returns what a value must be to pass tests; None if it can be anything."""
    if _NUMERIC_TESTS.intersection(tests):
        return "number"
    if _TEXT_TESTS.intersection(tests):
        return "text"
    return "scalar" if _SCALAR_TESTS.intersection(tests) else None


@lru_cache(maxsize=1024)
def _compile_check(path: str, expected: str) -> Check:
    parts = parse_path(path)
    problem_of = _PROBLEM_OF[expected]
    if len(parts) != 2 or any(part.walks_list for part in parts):
        return lambda message: _walk(message, parts, problem_of)
    first, second = parts[0].key, parts[1].key

    def check_two(message: dict[str, Any]) -> Problem | None:
        inner = message.get(first)
        if inner.__class__ is not dict:
            return None if inner in _ABSENT else "other_type"
        value = inner.get(second)
        return None if value is None else problem_of(value)

    return check_two


def _walk(
    value: Any, parts: Sequence[PathPart], problem_of: Callable[[Any], Problem | None]
) -> Problem | None:
    for number, (key, walks_list) in enumerate(parts, 1):
        if value.__class__ is not dict:
            return None if value in _ABSENT else "other_type"
        value = value.get(key)
        if value is None:
            return None
        if walks_list:
            if value.__class__ is not list:
                return "other_type"
            elements = (element for element in value if element is not None)
            problems = (_walk(element, parts[number:], problem_of) for element in elements)
            return next((problem for problem in problems if problem is not None), None)
    return problem_of(value)


def _no_number(value: Any) -> Problem | None:
    if as_number(value) is not None:
        return None
    return "no_number" if is_scalar(value) else "other_type"


_PROBLEM_OF: dict[str, Callable[[Any], Problem | None]] = {
    "number": _no_number,
    "text": lambda value: None if value.__class__ is str else "other_type",
    "scalar": lambda value: None if is_scalar(value) else "other_type",
}
