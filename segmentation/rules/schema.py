"""The structure of a file of definitions: one pydantic model for each form of the language.

References between parts, and what needs more than one key to judge, are checked in `checks`.
"""

from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from segmentation import durations
from segmentation.values import MAX_NUMBER

MAX_SEGMENTS = 10_000
MAX_EXPRESSION_CHARACTERS = 1000
MAX_LIST_ITEMS = 1000
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"


def _duration(value: Any) -> int:
    try:
        return durations.parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise PydanticCustomError("duration", "{mend}", {"mend": str(error)}) from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_NUMBER:
        raise PydanticCustomError("number", "expected a number from -1e15 to 1e15")
    return value


def _scalar(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise PydanticCustomError("scalar", "expected a finite number")
    if not isinstance(value, (str, int, float)):
        raise PydanticCustomError("scalar", "expected a text, a number, true or false")
    return value


def _scalar_as_equals(value: Any) -> Any:
    return value if isinstance(value, dict) else {"equals": _scalar(value)}



def _one_as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


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


Duration = Annotated[
    int,
    pydantic.PlainValidator(_duration),
    WithJsonSchema(
        {"type": "string", "pattern": durations.PATTERN, "minLength": 2, "description": "such as 30s, 10m, 2h, 7d"}
    ),
]
"""Milliseconds, written as 30s, 10m, 2h, 7d or a sum such as 1h30m."""
Number = Annotated[
    float,
    pydantic.PlainValidator(_number),
    WithJsonSchema({"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}),
]
_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}
Scalar = Annotated[Any, pydantic.PlainValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
Text = Annotated[str, StringConstraints(strict=True, max_length=10_000)]
Name = Annotated[str, StringConstraints(strict=True, pattern=NAME_PATTERN)]
ListPath = Annotated[
    str, StringConstraints(strict=True, max_length=500, pattern=r"^[^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*$")
]
"""A dotted path, of which any part may end in `[]`."""
PlainPath = Annotated[str, StringConstraints(strict=True, max_length=500, pattern=r"^[^.\[\]]+(\.[^.\[\]]+)*$")]
"""A dotted path without `[]`."""
EventName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1000)]
EventNames = Annotated[
    list[EventName],
    Field(min_length=1, max_length=MAX_LIST_ITEMS),
    pydantic.BeforeValidator(_one_as_list),
    _OrOne(),
]


class Strict(BaseModel):
    """A mapping without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=False)


class Tests(Strict):
    """Tests on one value; all must pass."""

    equals: Scalar = None
    not_equals: Scalar = None
    in_: Annotated[list[Scalar], Field(alias="in", min_length=1, max_length=MAX_LIST_ITEMS)] = []
    not_in: Annotated[list[Scalar], Field(min_length=1, max_length=MAX_LIST_ITEMS)] = []
    at_least: Number = 0
    at_most: Number = 0
    more_than: Number = 0
    less_than: Number = 0
    contains: Scalar = None
    starts_with: Text = ""
    ends_with: Text = ""
    matches: Annotated[str, StringConstraints(strict=True, max_length=MAX_EXPRESSION_CHARACTERS)] = ""
    exists: pydantic.StrictBool = True

    TEST_NAMES: ClassVar[tuple[str, ...]] = (
        "equals", "not_equals", "in", "not_in", "at_least", "at_most", "more_than", "less_than",
        "contains", "starts_with", "ends_with", "matches", "exists",
    )  # fmt: skip

    def tests(self) -> dict[str, Any]:
        """Returns test name to operand, of the tests that were written."""
        written = {"in" if name == "in_" else name for name in self.model_fields_set}
        return {name: getattr(self, "in_" if name == "in" else name) for name in self.TEST_NAMES if name in written}


Where = dict[ListPath, Annotated[Tests, pydantic.BeforeValidator(_scalar_as_equals), _OrPlain(_SCALAR_SCHEMA)]]
"""Paths into the message, each with tests; a bare scalar means `equals`."""


class EventSelection(Strict):
    """Events by name, and by tests on what they carry."""

    event: EventNames
    where: Where = {}


class TestsOfPath(Tests):
    """A measure over the values at a path, and tests on it."""

    of: ListPath


class TestsOfPlainPath(Tests):
    """A measure over the scalar at a path, and tests on it."""

    of: PlainPath


class Measured(EventSelection):
    """Events in a window, and a measure over them."""

    within: Duration | None = None
    count: Tests | None = None
    sum: TestsOfPath | None = None
    average: TestsOfPath | None = None
    min: TestsOfPath | None = None
    max: TestsOfPath | None = None
    distinct: TestsOfPath | None = None
    first: TestsOfPlainPath | None = None
    last: TestsOfPlainPath | None = None

    MEASURES: ClassVar[tuple[str, ...]] = ("count", "sum", "average", "min", "max", "distinct", "first", "last")

    def measure(self) -> tuple[str, str | None, dict[str, Any]]:
        """Returns the measure's name, its path and its tests; none written means `count: {at_least: 1}`."""
        for name in self.MEASURES:
            written = getattr(self, name)
            if written is not None:
                return name, getattr(written, "of", None), written.tests()
        return "count", None, {"at_least": 1}


class StepDefinition(EventSelection):
    """A step of a sequence."""

    max_gap: Duration | None = None
    same: ListPath | None = None


class ThenNotDefinition(EventSelection):
    """What must not follow the last step."""

    for_: Annotated[Duration | None, Field(alias="for")] = None
    during: Duration | None = None
    same: ListPath | None = None


class AllCondition(Strict):
    """True when all conditions are."""

    all: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]


class AnyCondition(Strict):
    """True when some condition is."""

    any: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]


class NotCondition(Strict):
    """True when the condition is not."""

    not_: Annotated["Condition", Field(alias="not")]


class SegmentCondition(Strict):
    """True when another segment's condition is."""

    segment: Name


class EventCondition(Measured):
    """True when the measure over the matching events passes its test."""


class MeasureCondition(Tests):
    """True when the named measure's value passes."""

    measure: Name


class SequenceCondition(Strict):
    """True when some instance of the sequence exists."""

    sequence: Annotated[list[StepDefinition], Field(min_length=1, max_length=20)]
    within: Duration
    same: ListPath | None = None
    then_not: Annotated[
        list[ThenNotDefinition],
        Field(min_length=1, max_length=20),
        pydantic.BeforeValidator(_one_as_list),
        _OrOne(),
    ] = []


class TraitCondition(Tests):
    """True when the trait's value passes."""

    trait: PlainPath


class ScoreCondition(Tests):
    """True when the score passes."""

    score: Name


FORMS = ("all", "any", "not", "segment", "event", "measure", "sequence", "trait", "score")


def form_of(value: Any) -> str | None:
    """Returns the tag of the form that a condition is written in, None where it is none or several."""
    if not isinstance(value, dict):
        return None
    forms = [form for form in FORMS if form in value]
    return f"<{forms[0]}>" if len(forms) == 1 else None


Condition = Annotated[
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
]


class PointsOf(Strict):
    """Points that are `times` × the number at a path."""

    of: ListPath
    times: Number = 1


class EarnDefinition(EventSelection):
    """What an event earns."""

    points: Annotated[
        Annotated[Number, Tag("<number>")] | Annotated[PointsOf, Tag("<of>")],
        Discriminator(lambda value: "<of>" if isinstance(value, (dict, PointsOf)) else "<number>"),
    ]


class ScoreDefinition(Strict):
    """Points for events, which decay by half in every half-life."""

    description: Text = ""
    half_life: Duration | None = None
    earn: Annotated[list[EarnDefinition], Field(min_length=1, max_length=MAX_LIST_ITEMS)]


class MeasureDefinition(Measured):
    """A named measure, served with the profile."""

    description: Text = ""


class SegmentDefinition(Strict):
    """A named condition over profiles."""

    description: Text = ""
    when: Condition


class Definitions(Strict):
    """A file of definitions."""

    version: Literal[1]
    measures: dict[Name, MeasureDefinition] = {}
    scores: dict[Name, ScoreDefinition] = {}
    segments: Annotated[dict[Name, SegmentDefinition], Field(max_length=MAX_SEGMENTS)] = {}
    export_traits: Annotated[list[PlainPath], Field(max_length=MAX_LIST_ITEMS)] = []
