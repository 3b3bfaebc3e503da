"""Selections of events, and measures over them, as pydantic models."""

from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict

from segmentation.rules.schema.values import (
    Duration,
    EventNames,
    ListPath,
    OrAbsent,
    PlainPath,
    Strict,
    Text,
    ValueTests,
    Where,
)


class EventSelection(Strict):
    """Events with given names whose fields pass given tests."""

    event: EventNames
    """An event's name, a list of names, or "*" for all. Other calls than track are $page, $identify and so on."""
    where: Where = {}
    """Dotted paths, such as properties.products[].sku, each with tests or with an equal value; all must pass."""


class NoTests(Strict):
    """An empty mapping, because the tests belong to the condition that refers to the measure."""


class OfPath(Strict):
    """The path to the values of a measure."""

    of: ListPath
    """Dotted path to the values, such as properties.total or properties.products[].price."""


class OfPlainPath(Strict):
    """The path to the value of a measure."""

    of: PlainPath
    """Dotted path to the value, such as properties.category."""


class TestsOfPath(ValueTests, OfPath):
    """A measure over the values at a path, and tests on it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})


class TestsOfPlainPath(ValueTests, OfPlainPath):
    """A measure over the value at a path, and tests on it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})


class Measured(EventSelection):
    """Events in a window, and at most one measure over them."""

    within: OrAbsent[Duration] = None
    """The time before now in which events count, such as 30s, 10m, 2h, 7d or 1h30m; without it, all events count."""

    MEASURES: ClassVar[tuple[str, ...]] = (
        "count",
        "sum",
        "average",
        "min",
        "max",
        "distinct",
        "first",
        "last",
    )

    def measure(self) -> tuple[str, str | None, dict[str, Any]]:
        """Returns the measure's name, path and tests; those of `count: {at_least: 1}` if no measure was written."""
        for name in self.MEASURES:
            written = getattr(self, name)
            if written is not None:
                tests = written.tests() if isinstance(written, ValueTests) else {}
                return name, getattr(written, "of", None), tests
        return "count", None, {"at_least": 1}


_Count = TypeVar("_Count")
_Of = TypeVar("_Of")
_OfPlain = TypeVar("_OfPlain")


class _Measures(Measured, Generic[_Count, _Of, _OfPlain]):
    count: OrAbsent[_Count] = None
    """The number of events."""
    sum: OrAbsent[_Of] = None
    """The sum of the numbers at a path; 0 if there are none."""
    average: OrAbsent[_Of] = None
    """The average of the numbers at a path."""
    min: OrAbsent[_Of] = None
    """The least of the numbers at a path."""
    max: OrAbsent[_Of] = None
    """The greatest of the numbers at a path."""
    distinct: OrAbsent[_Of] = None
    """The number of different values at a path."""
    first: OrAbsent[_OfPlain] = None
    """The value at a path in the earliest event that has one."""
    last: OrAbsent[_OfPlain] = None
    """The value at a path in the latest event that has one."""


_ONE_MEASURE: list[Any] = [{"required": [name]} for name in Measured.MEASURES]


class MeasureDefinition(_Measures[NoTests, OfPath, OfPlainPath]):
    """A named measure, served with the profile."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_MEASURE})

    description: Text = ""
    """A description for people."""
