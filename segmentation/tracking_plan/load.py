"""Compiles the files of a tracking plan, and reports all mistakes in them."""

import difflib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, get_args

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from segmentation.documents.document import MAX_VALUES, Document, Path, TooManyValues, read_document
from segmentation.documents.problems import Problem, Problems, enough, format_list, format_value, nearest
from segmentation.printable import printable
from segmentation.tracking_plan.plan import MASK, OnViolation, PlannedEvent, TrackingPlan
from segmentation.tracking_plan.schemas import (
    DIALECT,
    PlanFile,
    Schemas,
    numbers_out_of_json,
    refused_keywords,
)
from segmentation.tracking_plan.unique_items import UniqueItems
from segmentation.tracking_plan.work import PATTERN_BYTES_PER_CHECK, WorkBound, WorkError

SHARED_PREFIX = "_"
"""Prefix of the names of files that have no event, only definitions that several events use."""
_BASE = "plan:/"
_MAX_MESSAGE_CHARACTERS = 200
_MAX_PATTERN_BYTES = 1024 * 1024
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=_MAX_PATTERN_BYTES, dfa_size_limit=_MAX_PATTERN_BYTES)
"""Patterns match in linear time and have a bounded size, so no message can make one run for long."""
_STRICT_DIALECT = {
    "$schema": DIALECT,
    "$id": "urn:live-segments:strict-json-schema",
    "$dynamicAnchor": "meta",
    "$ref": DIALECT,
    "unevaluatedProperties": False,
}
"""JSON Schema that rejects unknown keywords, because a misspelt keyword would otherwise be ignored."""
_KEYWORDS = frozenset(
    [
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$ref",
        "$schema",
        "$vocabulary",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contains",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "deprecated",
        "description",
        "else",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "items",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "readOnly",
        "required",
        "then",
        "title",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
        "writeOnly",
        "$recursiveAnchor",
        "$recursiveRef",
    ]
)
_KEYS = ("event", "description", "on_violation", "schema")
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


class TrackingPlanError(ValueError):
    """The plan has mistakes. Each line of the message names the file, the line, the mistake and the fix."""


def load_tracking_plan(texts: Mapping[str, str]) -> TrackingPlan:
    """Returns the plan.

    Args:
      texts: file name to YAML text.

    Raises:
      TrackingPlanError: with all mistakes in the files.
    """
    mistakes: list[str] = []
    files = _read_all(texts, mistakes)
    planned = {} if mistakes else _compile_all(files, mistakes)
    if not planned and not mistakes:
        mistakes.append("no file names an event: add one, with event:, on_violation: and schema:")
    if mistakes:
        raise TrackingPlanError("\n".join(mistakes))
    return TrackingPlan(planned)


def _read_all(texts: Mapping[str, str], mistakes: list[str]) -> list[PlanFile]:
    """Returns the files without a mistake. Reads no further than `MAX_VALUES` values, which aliases can repeat."""
    files: list[PlanFile] = []
    values = 0
    for name, text in sorted(texts.items()):
        try:
            document = read_document(text)
            values += document.values
            if values > MAX_VALUES:
                found = (
                    f"more than {MAX_VALUES} values in the plan up to here, with those that aliases repeat"
                )
                raise TooManyValues([Problem(1, (), found, "use fewer aliases")])
            files.append(_file(name, document))
        except Problems as problems:
            mistakes += _format(name, problems)
            if isinstance(problems, TooManyValues):
                break
    return files


def _file(name: str, document: Document) -> PlanFile:
    is_shared = name.startswith(SHARED_PREFIX)
    problems = [*document.problems, *(() if is_shared else _mistakes_around(document))]
    if not problems:
        path: Path = () if is_shared else ("schema",)
        file = PlanFile(name, document, document.value_at(path), path)
        problems += _mistakes_in_schema(file)
        if not problems:
            return file
    raise Problems(problems)


def _compile_all(files: list[PlanFile], mistakes: list[str]) -> dict[str, PlannedEvent]:
    """Returns each event's part of the plan. Files can refer to each other."""
    schemas = Schemas(files)
    for name, dangling in groupby(schemas.without_target(), key=itemgetter(0)):
        mistakes += _format(name, Problems(enough(problem for _, problem in dangling)))
    if mistakes:
        return {}
    registry = jsonschema_rs.Registry([(_BASE + file.name, file.schema) for file in files])
    work = WorkBound(schemas, _pattern_bytes)
    planned: dict[str, PlannedEvent] = {}
    owners: dict[str, str] = {}
    for file in files:
        try:
            validator = _compile(file, registry)
            if file.name.startswith(SHARED_PREFIX):
                continue
            value: Any = file.document.value
            event = value["event"]
            if event in planned:
                found = f"{format_value(event)} is also in {owners[event]}"
                fix = "keep one file for each event"
                raise Problems([_problem(file.document, ("event",), found, fix)])
            owners[event] = file.name
            applied = work.applied(schemas.roots[file.name])
            planned[event] = PlannedEvent(
                value["on_violation"], validator.is_valid, validator.iter_errors, applied
            )
        except Problems as problems:
            mistakes += _format(file.name, problems)
        except WorkError as error:
            mistakes += _format(error.file, Problems([error.problem]))
    mistakes[:] = dict.fromkeys(mistakes)  # several events can need the same shared schema
    return planned


def _format(name: str, problems: Problems) -> list[str]:
    return [f"{printable(name)}: {problem}" for problem in problems.problems]


def _problem(document: Document, path: Path, found: str, fix: str = "") -> Problem:
    return Problem(document.line(path), path, found, fix)


def _mistakes_around(document: Document) -> Iterator[Problem]:
    """Yields the mistakes outside the schema: in the keys `event`, `on_violation` and `description`."""
    value: Any = document.value
    if not isinstance(value, dict):
        yield _problem(document, (), "the file is not a mapping", "begin with event: and schema:")
        return
    meant = set()
    for key in value.keys() - set(_KEYS):
        close = nearest(key, _KEYS)
        meant.add(close)
        fix = f"did you mean {close!r}?" if close else f"expected one of {format_list(_KEYS)}"
        yield _problem(document, (key,), f"unknown key {format_value(key)}", fix)
    event = value.get("event")
    if "event" not in meant and not (isinstance(event, str) and event):
        fix = "expected an event's name, or $page, $screen, $identify, $group or $alias"
        yield _problem(document, ("event",), f"found {format_value(event)}", fix)
    if "on_violation" not in meant and value.get("on_violation") not in get_args(OnViolation):
        found = f"found {format_value(value.get('on_violation'))}"
        yield _problem(document, ("on_violation",), found, "expected reject or flag")
    if not isinstance(value.get("description", ""), str):
        yield _problem(
            document, ("description",), f"found {format_value(value['description'])}", "expected a text"
        )
    if "schema" not in meant and not isinstance(value.get("schema"), dict):
        fix = "expected the JSON Schema of the whole message"
        yield _problem(document, ("schema",), f"found {format_value(value.get('schema'))}", fix)


def _mistakes_in_schema(file: PlanFile) -> list[Problem]:
    """Returns the mistakes that JSON Schema reports; if there are none, what this plan does not take."""
    if not isinstance(file.schema, dict):
        return [file.problem((), "the file is not a mapping", "begin with $defs:")]
    refused = enough(numbers_out_of_json(file))
    if not refused:
        refused = [_mistake(file, error) for error in _DIALECT_VALIDATOR.iter_errors(file.schema)]
    if refused:
        return refused
    unknown = (
        problem
        for error in _STRICT_VALIDATOR.iter_errors(file.schema)
        for problem in _unknown_keywords(file, error)
    )
    return enough(chain(unknown, refused_keywords(file)))


def _mistake(file: PlanFile, error: ValidationError) -> Problem:
    place = tuple(error.instance_path)
    if place and place[-1] == "type":
        return file.problem(place, f"found {format_value(error.instance)}", f"expected {format_list(_TYPES)}")
    return file.problem(place, _shortened(error.message))


def _shortened(message: str) -> str:
    """Returns a message of the validator without the middle of a long value in it."""
    half = _MAX_MESSAGE_CHARACTERS // 2
    return message if len(message) <= 2 * half else f"{message[:half]}...{message[-half:]}"


def _unknown_keywords(file: PlanFile, error: ValidationError) -> Iterator[Problem]:
    kind = error.kind
    # Every parent of an unknown keyword is also reported as unevaluated, but with known keywords only.
    if isinstance(kind, ValidationErrorKind.UnevaluatedProperties):
        for keyword in kind.unexpected:
            if keyword not in _KEYWORDS:
                close = difflib.get_close_matches(keyword, _KEYWORDS, n=1)
                fix = f"did you mean {close[0]!r}?" if close else "expected a keyword of JSON Schema 2020-12"
                place = (*error.instance_path, keyword)
                yield file.problem(place, f"unknown keyword {format_value(keyword)}", fix)


def _compile(file: PlanFile, registry: jsonschema_rs.Registry) -> Draft202012Validator:
    try:
        return Draft202012Validator(
            file.schema,
            base_uri=_BASE + file.name,
            registry=registry,
            offline=True,
            mask=MASK,
            pattern_options=_PATTERNS,
            validate_formats=True,
            ignore_unknown_formats=False,
            keywords={"uniqueItems": UniqueItems},
        )
    except ValidationError as error:
        raise Problems([file.problem(tuple(error.instance_path), *_uncompiled(error))]) from None


def _uncompiled(error: ValidationError) -> tuple[str, str]:
    """Returns the mistake and the fix for a schema that is valid but cannot be compiled."""
    kind: Any = error.kind
    match kind:
        case ValidationErrorKind.Format(format="regex") | ValidationErrorKind.PropertyNames():
            return (
                "an unsupported pattern",
                "expected no look-around, no back-reference, few repetitions",
            )
        case _:
            return _shortened(error.message), "use one that JSON Schema 2020-12 names, or leave it out"


@lru_cache(maxsize=1024)
def _pattern_bytes(pattern: str) -> int:
    """Returns the size of a compiled pattern, rounded up to a power of two; 0 if it is too small to count."""
    size = PATTERN_BYTES_PER_CHECK // 2
    while size < _MAX_PATTERN_BYTES:
        options = jsonschema_rs.RegexOptions(size_limit=size)
        try:
            Draft202012Validator({"pattern": pattern}, pattern_options=options)
            break
        except ValidationError:
            size *= 2
    return size


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, offline=True, validate_formats=True, pattern_options=_PATTERNS)


_DIALECT_VALIDATOR = _validator({"$ref": DIALECT})
_STRICT_VALIDATOR = _validator(_STRICT_DIALECT)
