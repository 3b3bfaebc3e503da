"""Values of the language: durations, numbers, names, paths and the tests on a value, as pydantic types.

`json_schema` publishes the docstrings of models and attributes, and editors display them.
"""

import re
import sys
from typing import Annotated, Any, ClassVar, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from segmentation import durations
from segmentation.matching.paths import canonical_path
from segmentation.matching.values import MAX_NUMBER
from segmentation.rules.schema.paths import LIST_PATH_PATTERN, PLAIN_PATH_PATTERN, path_fix

MAX_SEGMENTS = 10_000
MAX_EXPRESSION_CHARACTERS = 1000
MAX_LIST_ITEMS = 1000
MAX_STEPS = 20
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
MAX_PATH_CHARACTERS = 500
MAX_EVENT_NAME_CHARACTERS = 1000
EVENT_NAME_PATTERN = r"^(\*|[^$*\s]([^*]*[^*\s])?|\$(page|screen|identify|group|alias))$"

T = TypeVar("T")


def _duration(value: Any) -> int:
    try:
        return durations.parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise PydanticCustomError("duration", "{fix}", {"fix": str(error)}) from None


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


def _list_path(value: str) -> str:
    return _path(value, takes_lists=True)


def _plain_path(value: str) -> str:
    return _path(value, takes_lists=False)


def _path(value: str, takes_lists: bool) -> str:
    fix = path_fix(value, takes_lists)
    if fix is not None:
        raise PydanticCustomError("path", "{fix}", {"fix": fix})
    return canonical_path(value)


def _event_name(value: str) -> str:
    if re.search(EVENT_NAME_PATTERN, value) and value == value.strip():
        return value
    raise PydanticCustomError("event_name", "{fix}", {"fix": _event_name_fix(value)})


def _event_name_fix(value: str) -> str:
    name = value.strip()
    if name and name != value:
        return f"expected a name without white space at its ends, such as {name!r}"
    parts = value.split("*")
    if len(parts) == 1:
        return "expected an event's name, or $page, $screen, $identify, $group or $alias"
    test = "starts_with" if parts[0] else "ends_with" if parts[-1] else "contains"
    text = max(parts, key=len) if test == "contains" else parts[0] or parts[-1]
    return (
        "a name has no wildcards: list the names, or test the name of every event, "
        f'such as event: "*" with where: {{event: {{{test}: {text!r}}}}}'
    )


def _one_as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class _NotNull:
    """Rejects null for a key that may be absent: `within:` without a duration is a mistake, not an endless window."""

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        schema: Any = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


class _OrPlain:
    """Adds a shorter form of a value to the JSON Schema."""

    def __init__(self, plain: dict[str, Any]) -> None:
        self._plain = plain

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [self._plain, handler(core_schema)]}


class _OrOne:
    """Adds to the JSON Schema that a list of one item may be written without brackets."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        items = handler(core_schema)
        return {"anyOf": [items["items"], items]}


OrAbsent = Annotated[T | None, _NotNull()]
"""None means that the key is absent."""
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
ListPath = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_PATH_CHARACTERS),
    pydantic.AfterValidator(_list_path),
    WithJsonSchema({"type": "string", "maxLength": MAX_PATH_CHARACTERS, "pattern": LIST_PATH_PATTERN}),
]
"""A dotted path in which each part may end in `[]`, in its shortest form."""
PlainPath = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_PATH_CHARACTERS),
    pydantic.AfterValidator(_plain_path),
    WithJsonSchema({"type": "string", "maxLength": MAX_PATH_CHARACTERS, "pattern": PLAIN_PATH_PATTERN}),
]
"""A dotted path without `[]`, in its shortest form."""
EventName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=MAX_EVENT_NAME_CHARACTERS),
    pydantic.AfterValidator(_event_name),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_EVENT_NAME_CHARACTERS,
            "pattern": EVENT_NAME_PATTERN,
        }
    ),
]
EventNames = Annotated[
    list[EventName],
    Field(min_length=1, max_length=MAX_LIST_ITEMS),
    pydantic.BeforeValidator(_one_as_list),
    _OrOne(),
]


class Strict(BaseModel):
    """A mapping that allows no unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=False,
        use_attribute_docstrings=True,
    )


# Tests


class ValueTests(Strict):
    """Tests on one value; all must pass."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    equals: Scalar = None
    """The same text, number or truth value: 1 equals 1.0, but not "1"."""
    not_equals: Scalar = None
    """Any other value; on events and traits, a missing value passes too."""
    in_: Annotated[Scalars, Field(alias="in")] = []
    """Equals one of these."""
    not_in: Scalars = []
    """Equals none of these; on events and traits, a missing value passes too."""
    at_least: Number = 0
    """A number, or a text that is a number, of this or more."""
    at_most: Number = 0
    """A number, or a text that is a number, of this or less."""
    more_than: Number = 0
    """A number, or a text that is a number, above this."""
    less_than: Number = 0
    """A number, or a text that is a number, below this."""
    contains: Scalar = None
    """A text that contains this text, or a list that contains this element."""
    starts_with: Text = ""
    """A text that begins with this text."""
    ends_with: Text = ""
    """A text that ends with this text."""
    matches: Expression = ""
    """A text in which this RE2 expression matches anywhere; ^ and $ anchor it to the ends."""
    exists: pydantic.StrictBool = True
    """true: there is a value; false: there is none."""

    TEST_NAMES: ClassVar[tuple[str, ...]] = (
        "equals", "not_equals", "in", "not_in", "at_least", "at_most", "more_than", "less_than",
        "contains", "starts_with", "ends_with", "matches", "exists",
    )  # fmt: skip

    def tests(self) -> dict[str, Any]:
        """Returns the tests that were written, as test name to operand."""
        written = {"in" if name == "in_" else name for name in self.model_fields_set}
        return {
            name: getattr(self, "in_" if name == "in" else name)
            for name in self.TEST_NAMES
            if name in written
        }


Where = dict[
    ListPath, Annotated[ValueTests, pydantic.BeforeValidator(_scalar_as_equals), _OrPlain(_SCALAR_SCHEMA)]
]
"""Paths in the message, each with tests. A scalar instead of tests means `equals`."""
