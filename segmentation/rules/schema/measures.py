"""Events by name and by tests, and measures over them, as pydantic models."""

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
    """Events by name, and by tests on what they carry."""

    event: EventNames
    """The event's name, a list of names, or "*"; calls that are no track are $page, $identify and so on."""
    where: Where = {}
    """Dotted paths, such as properties.products[].sku, each with tests or a value to equal; all must pass."""


class NoTests(Strict):
    """Nothing: the test stands in the condition that refers to the measure."""


class OfPath(Strict):
    """What a measure is taken of."""

    of: ListPath
    """Dotted path to the values, such as properties.total or properties.products[].price."""


class OfPlainPath(Strict):
    """What a measure is taken of."""

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
    """How far back events count, such as 30s, 10m, 2h, 7d or 1h30m; without it, ever."""

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
        """Returns the measure's name, its path and its tests; none written means `count: {at_least: 1}`."""
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
    """How many events there are."""
    sum: OrAbsent[_Of] = None
    """The sum of the numbers at a path; 0 when there is none."""
    average: OrAbsent[_Of] = None
    """The average of the numbers at a path."""
    min: OrAbsent[_Of] = None
    """The least of the numbers at a path."""
    max: OrAbsent[_Of] = None
    """The greatest of the numbers at a path."""
    distinct: OrAbsent[_Of] = None
    """How many different values there are at a path."""
    first: OrAbsent[_OfPlain] = None
    """The value at a path on the earliest event that has one."""
    last: OrAbsent[_OfPlain] = None
    """The value at a path on the latest event that has one."""


_ONE_MEASURE: list[Any] = [{"required": [name]} for name in Measured.MEASURES]


class MeasureDefinition(_Measures[NoTests, OfPath, OfPlainPath]):
    """A named measure, served with the profile."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_MEASURE})

    description: Text = ""
    """What it measures, for people."""
