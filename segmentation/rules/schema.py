"""The structure of a file of definitions: one pydantic model for each form of the language.

The texts below classes and attributes are what an editor shows, by way of `json_schema`. References between
parts, and what needs more than one key to judge, are checked in `checks`.
"""

import sys
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError
from typing_extensions import TypeAliasType

from segmentation import durations
from segmentation.matching.values import MAX_NUMBER

MAX_SEGMENTS = 10_000
MAX_EXPRESSION_CHARACTERS = 1000
MAX_LIST_ITEMS = 1000
MAX_STEPS = 20
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
LIST_PATH_PATTERN = r"^[^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*$"
PLAIN_PATH_PATTERN = r"^[^.\[\]]+(\.[^.\[\]]+)*$"
EVENT_NAME_PATTERN = r"^([^$]|\$(page|screen|identify|group|alias)$)"

T = TypeVar("T")


def _duration(value: Any) -> int:
    try:
        return durations.parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise PydanticCustomError("duration", "{mend}", {"mend": str(error)}) from None


def _version(value: Any) -> Any:
    if isinstance(value, bool) or value != 1:
        raise PydanticCustomError("version", "expected 1, the only version there is")
    return 1


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_NUMBER:
        raise PydanticCustomError("number", "expected a number from -1e15 to 1e15")
    return value


def _scalar(value: Any) -> Any:
    if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
        raise PydanticCustomError("scalar", "expected a finite number")
    if not isinstance(value, (str, int, float)):
        raise PydanticCustomError("scalar", "expected a text, a number, true or false")
    return value


def _scalar_as_equals(value: Any) -> Any:
    if isinstance(value, list) or value is None:
        raise PydanticCustomError("scalar", "expected a text, a number, true, false or a mapping of tests")
    return value if isinstance(value, dict) else {"equals": value}


def _one_as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class _NotNull:
    """A key may be left out but not be null: `within:` without a duration is a mistake, and not "ever"."""

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        schema: Any = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


class _OrPlain:
    """Says in the JSON Schema that a value may also be written in a shorter form."""

    def __init__(self, plain: dict[str, Any]) -> None:
        self._plain = plain

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [self._plain, handler(core_schema)]}


class _OrOne:
    """Says in the JSON Schema that a list of one may be written without the brackets."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        items = handler(core_schema)
        return {"anyOf": [items["items"], items]}


OrAbsent = Annotated[T | None, _NotNull()]
"""None stands for a key that was not written."""
Duration = Annotated[
    int,
    pydantic.PlainValidator(_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": durations.PATTERN,
            "minLength": 2,
            "maxLength": durations.MAX_CHARACTERS,
        }
    ),
]
"""Milliseconds, written as 30s, 10m, 2h, 7d or a sum such as 1h30m."""
Number = Annotated[
    float,
    pydantic.PlainValidator(_number),
    WithJsonSchema({"type": "number", "minimum": -int(MAX_NUMBER), "maximum": int(MAX_NUMBER)}),
]
_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}
Scalar = Annotated[Any, pydantic.PlainValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
Scalars = Annotated[list[Scalar], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
Text = Annotated[str, StringConstraints(strict=True, max_length=10_000)]
Expression = Annotated[str, StringConstraints(strict=True, max_length=MAX_EXPRESSION_CHARACTERS)]
Name = Annotated[str, StringConstraints(strict=True, pattern=NAME_PATTERN)]
ListPath = Annotated[str, StringConstraints(strict=True, max_length=500, pattern=LIST_PATH_PATTERN)]
"""A dotted path, of which any part may end in `[]`."""
PlainPath = Annotated[str, StringConstraints(strict=True, max_length=500, pattern=PLAIN_PATH_PATTERN)]
"""A dotted path without `[]`."""
EventName = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=1000, pattern=EVENT_NAME_PATTERN)
]
EventNames = Annotated[
    list[EventName],
    Field(min_length=1, max_length=MAX_LIST_ITEMS),
    pydantic.BeforeValidator(_one_as_list),
    _OrOne(),
]


class Strict(BaseModel):
    """A mapping without unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=False,
        use_attribute_docstrings=True,
    )


# Tests


class Tests(Strict):
    """Tests on one value; all must pass."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    equals: Scalar = None
    """The same text, number or truth value: 1 equals 1.0, but not "1"."""
    not_equals: Scalar = None
    """Anything else; on events and traits also a value that is missing."""
    in_: Annotated[Scalars, Field(alias="in")] = []
    """Equals one of these."""
    not_in: Scalars = []
    """Equals none of these; on events and traits also a value that is missing."""
    at_least: Number = 0
    """A number, or a text that is one, of this or more."""
    at_most: Number = 0
    """A number, or a text that is one, of this or less."""
    more_than: Number = 0
    """A number, or a text that is one, above this."""
    less_than: Number = 0
    """A number, or a text that is one, below this."""
    contains: Scalar = None
    """A text with this part, or a list with this element."""
    starts_with: Text = ""
    """A text that begins so."""
    ends_with: Text = ""
    """A text that ends so."""
    matches: Expression = ""
    """A text in which this RE2 expression is found; ^ and $ tie it to the ends."""
    exists: pydantic.StrictBool = True
    """true: there is a value; false: there is none."""

    TEST_NAMES: ClassVar[tuple[str, ...]] = (
        "equals", "not_equals", "in", "not_in", "at_least", "at_most", "more_than", "less_than",
        "contains", "starts_with", "ends_with", "matches", "exists",
    )  # fmt: skip

    def tests(self) -> dict[str, Any]:
        """Returns test name to operand, of the tests that were written."""
        written = {"in" if name == "in_" else name for name in self.model_fields_set}
        return {
            name: getattr(self, "in_" if name == "in" else name)
            for name in self.TEST_NAMES
            if name in written
        }


Where = dict[
    ListPath, Annotated[Tests, pydantic.BeforeValidator(_scalar_as_equals), _OrPlain(_SCALAR_SCHEMA)]
]
"""Paths into the message, each with tests; a bare scalar means `equals`."""


# Events and measures over them


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


class TestsOfPath(Tests, OfPath):
    """A measure over the values at a path, and tests on it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})


class TestsOfPlainPath(Tests, OfPlainPath):
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
                tests = written.tests() if isinstance(written, Tests) else {}
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


# Conditions


class AllCondition(Strict):
    """True while all conditions are."""

    all: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """Conditions that must all be true."""


class AnyCondition(Strict):
    """True while one of the conditions is, or several are."""

    any: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """Conditions of which one must be true."""


class NotCondition(Strict):
    """True while the condition is not."""

    not_: Annotated["Condition", Field(alias="not")]
    """The condition that must not be true."""


class SegmentCondition(Strict):
    """True while another segment's condition is."""

    segment: Name
    """Name of a segment of this file."""


class EventCondition(_Measures[Tests, TestsOfPath, TestsOfPlainPath]):
    """True while a measure over the matching events passes its test; without one, while there is an event."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [*_ONE_MEASURE, {"not": {"anyOf": _ONE_MEASURE}}]},
    )


class MeasureCondition(Tests):
    """True while a named measure passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    measure: Name
    """Name of a measure under measures:."""


class StepDefinition(EventSelection):
    """A step of a sequence."""

    max_gap: OrAbsent[Duration] = None
    """How long after the step before it at most, such as 5m; not on the first step."""
    same: OrAbsent[ListPath] = None
    """Where this step's event carries the shared value, if not where the sequence says."""


class ThenNotDefinition(EventSelection):
    """What must not follow the last step."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["for"]}, {"required": ["during"]}]})

    for_: Annotated[OrAbsent[Duration], Field(alias="for")] = None
    """No such event for this long after the last step, and none later either."""
    during: OrAbsent[Duration] = None
    """No such event for this long after the last step; later ones do no harm."""
    same: OrAbsent[ListPath] = None
    """Where such an event carries the shared value, if not where the sequence says."""


class SequenceCondition(Strict):
    """True while the steps have happened in this order, and nothing came after them that must not."""

    sequence: Annotated[list[StepDefinition], Field(min_length=1, max_length=MAX_STEPS)]
    """The steps, each at a later instant than the one before it."""
    within: Duration
    """How far back all steps must lie, such as 10m or 24h."""
    same: OrAbsent[ListPath] = None
    """Dotted path at which the events of all steps carry one same value, such as properties.product_id."""
    then_not: Annotated[
        list[ThenNotDefinition],
        Field(min_length=1, max_length=MAX_STEPS),
        pydantic.BeforeValidator(_one_as_list),
        _OrOne(),
    ] = []
    """What must not follow the last step: one entry, or a list that must all hold."""


class TraitCondition(Tests):
    """True while a trait passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    trait: PlainPath
    """The trait's key, as identify calls set it; dots lead further in."""


class ScoreCondition(Tests):
    """True while a score passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    score: Name
    """Name of a score under scores:."""


FORMS = ("all", "any", "not", "segment", "event", "measure", "sequence", "trait", "score")


def form_of(value: Any) -> str | None:
    """Returns the tag of the form that a condition is written in, None where it is none or several."""
    if not isinstance(value, dict):
        return None
    forms = [form for form in FORMS if form in value]
    return f"<{forms[0]}>" if len(forms) == 1 else None


Condition = TypeAliasType(
    "Condition",
    Annotated[
        Annotated[AllCondition, Tag("<all>")]
        | Annotated[AnyCondition, Tag("<any>")]
        | Annotated[NotCondition, Tag("<not>")]
        | Annotated[SegmentCondition, Tag("<segment>")]
        | Annotated[EventCondition, Tag("<event>")]
        | Annotated[MeasureCondition, Tag("<measure>")]
        | Annotated[SequenceCondition, Tag("<sequence>")]
        | Annotated[TraitCondition, Tag("<trait>")]
        | Annotated[ScoreCondition, Tag("<score>")],
        Discriminator(form_of),
    ],
)


# The file


class PointsOf(Strict):
    """Points that are `times` × the number at a path."""

    of: ListPath
    """Dotted path to the number; of several, each earns."""
    times: Number = 1
    """What the number is multiplied by."""


class EarnDefinition(EventSelection):
    """What an event earns."""

    points: Annotated[
        Annotated[Number, Tag("<number>")] | Annotated[PointsOf, Tag("<of>")],
        Discriminator(lambda value: "<of>" if isinstance(value, (dict, PointsOf)) else "<number>"),
    ]
    """A number of points, or `{of: path, times: number}`."""


class ScoreDefinition(Strict):
    """Points for events, which may lose half of their worth in every half-life."""

    description: Text = ""
    """What it stands for, for people."""
    half_life: OrAbsent[Duration] = None
    """How long it takes points to lose half of their worth, such as 7d; without it they keep it."""
    earn: Annotated[list[EarnDefinition], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """What earns points; an event earns by every entry that it matches."""


class SegmentDefinition(Strict):
    """A named condition over profiles."""

    description: Text = ""
    """Who is in it, for people."""
    when: Condition
    """Who is in it: exactly one form of condition."""


class Definitions(Strict):
    """A file of definitions in the segment language; the reference is docs/segment-language.md."""

    version: Annotated[Literal[1], pydantic.PlainValidator(_version), WithJsonSchema({"const": 1})]
    """Version of the language: 1."""
    measures: dict[Name, MeasureDefinition] = {}
    """Named measures, served with the profile, which conditions refer to by measure:."""
    scores: dict[Name, ScoreDefinition] = {}
    """Named scores, served with the profile, which conditions refer to by score:."""
    segments: Annotated[dict[Name, SegmentDefinition], Field(max_length=MAX_SEGMENTS)] = {}
    """The segments, each with the condition under which a profile is in it."""
    export_traits: Annotated[list[PlainPath], Field(max_length=MAX_LIST_ITEMS)] = []
    """Traits to serve with the profile although no condition names them."""
