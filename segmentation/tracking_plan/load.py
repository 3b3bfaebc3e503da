"""Compiles the files of a tracking plan, and reports all mistakes in them."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from segmentation.documents.document import Document, Path, read_document
from segmentation.documents.problems import Problem, Problems, format_list, format_value, nearest
from segmentation.printable import printable
from segmentation.tracking_plan.plan import MASK, OnViolation, PlannedEvent, TrackingPlan

SHARED_PREFIX = "_"
"""Prefix of the names of files that have no event, only definitions that several events use."""
_BASE = "plan:/"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1024 * 1024, dfa_size_limit=1024 * 1024)
"""Patterns match in linear time and have a bounded size, so no message can make one run for long."""
_STRICT_DIALECT = {
    "$schema": _DIALECT,
    "$id": "urn:live-segments:strict-json-schema",
    "$dynamicAnchor": "meta",
    "$ref": _DIALECT,
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
_VALUES = ("const", "default", "enum", "examples")
"""Keywords with a plain value, in which `$ref` is an ordinary key."""
_NO_TARGET = ("its target is not in this plan", "expected #/$defs/NAME, or _shared.yaml#/$defs/NAME")
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


class TrackingPlanError(ValueError):
    """The plan has mistakes. Each line of the message names the file, the line, the mistake and the fix."""


class _File(NamedTuple):
    """One file of the plan, parsed."""

    name: str
    document: Document
    schema: Any
    schema_path: Path
    """The path of the schema in the document."""


def load_tracking_plan(texts: Mapping[str, str]) -> TrackingPlan:
    """Returns the plan.

    Args:
      texts: file name to YAML text.

    Raises:
      TrackingPlanError: with all mistakes in the files.
    """
    mistakes: list[str] = []
    files = [file for name, text in sorted(texts.items()) if (file := _read(name, text, mistakes))]
    planned = {} if mistakes else _compile_all(files, mistakes)
    if not planned and not mistakes:
        mistakes.append("no file names an event: add one, with event:, on_violation: and schema:")
    if mistakes:
        raise TrackingPlanError("\n".join(mistakes))
    return TrackingPlan(planned)


def _compile_all(files: list[_File], mistakes: list[str]) -> dict[str, PlannedEvent]:
    """Returns each event's part of the plan. Files can refer to each other."""
    for file in files:
        for path, reference in _references(file.schema, file.schema_path):
            target = reference.partition("#")[0]
            if target and target not in {other.name for other in files}:
                mistakes += _format(file.name, Problems([_problem(file.document, path, *_NO_TARGET)]))
    if mistakes:
        return {}
    registry = jsonschema_rs.Registry([(_BASE + file.name, file.schema) for file in files])
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
            planned[event] = PlannedEvent(value["on_violation"], validator.is_valid, validator.iter_errors)
        except Problems as problems:
            mistakes += _format(file.name, problems)
    return planned


def _read(name: str, text: str, mistakes: list[str]) -> _File | None:
    try:
        document = read_document(text)
        is_shared = name.startswith(SHARED_PREFIX)
        problems = [*document.problems, *(() if is_shared else _mistakes_around(document))]
        if not problems:
            path: Path = () if is_shared else ("schema",)
            problems += _mistakes_in_schema(document, path)
            if not problems:
                return _File(name, document, document.value_at(path), path)
        raise Problems(problems)
    except Problems as found:
        mistakes += _format(name, found)
        return None


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


def _mistakes_in_schema(document: Document, path: Path) -> list[Problem]:
    """Returns the mistakes that JSON Schema reports; if there are none, the unknown keywords."""
    schema = document.value_at(path)
    if not isinstance(schema, dict):
        return [_problem(document, path, "the file is not a mapping", "begin with $defs:")]
    refused = list(_DIALECT_VALIDATOR.iter_errors(schema))
    if not refused:
        return [
            problem
            for error in _STRICT_VALIDATOR.iter_errors(schema)
            for problem in _unknown_keywords(document, path, error)
        ]
    return [_mistake(document, path, error) for error in refused]


def _mistake(document: Document, path: Path, error: ValidationError) -> Problem:
    place = (*path, *error.instance_path)
    if place and place[-1] == "type":
        return _problem(
            document, place, f"found {format_value(error.instance)}", f"expected {format_list(_TYPES)}"
        )
    return _problem(document, place, error.message)


def _unknown_keywords(document: Document, path: Path, error: ValidationError) -> Iterator[Problem]:
    kind = error.kind
    # Every parent of an unknown keyword is also reported as unevaluated, but with known keywords only.
    if isinstance(kind, ValidationErrorKind.UnevaluatedProperties):
        for keyword in kind.unexpected:
            if keyword not in _KEYWORDS:
                close = difflib.get_close_matches(keyword, _KEYWORDS, n=1)
                fix = f"did you mean {close[0]!r}?" if close else "expected a keyword of JSON Schema 2020-12"
                place = (*path, *error.instance_path, keyword)
                yield _problem(document, place, f"unknown keyword {format_value(keyword)}", fix)


def _compile(file: _File, registry: jsonschema_rs.Registry) -> Draft202012Validator:
    try:
        validator = Draft202012Validator(
            file.schema,
            base_uri=_BASE + file.name,
            registry=registry,
            offline=True,
            mask=MASK,
            pattern_options=_PATTERNS,
            validate_formats=True,
            ignore_unknown_formats=False,
        )
    except ValidationError as error:
        place = (*file.schema_path, *error.instance_path)
        if isinstance(error.kind, ValidationErrorKind.Referencing):
            place = (*file.schema_path, *_unresolved(file, registry))
        raise Problems([_problem(file.document, place, *_uncompiled(error))]) from None
    return validator


def _uncompiled(error: ValidationError) -> tuple[str, str]:
    """Returns the mistake and the fix for a schema that is valid but cannot be compiled."""
    kind: Any = error.kind
    match kind:
        case ValidationErrorKind.Referencing():
            return _NO_TARGET
        case ValidationErrorKind.Format(format="regex") | ValidationErrorKind.PropertyNames():
            return (
                "an unsupported pattern",
                "expected no look-around, no back-reference, few repetitions",
            )
        case _:
            return error.message, "use one that JSON Schema 2020-12 names, or leave it out"


def _unresolved(file: _File, registry: jsonschema_rs.Registry) -> Path:
    """Returns the path of the first `$ref` without a target."""
    resolver = registry.resolver(_BASE + file.name)
    for path, reference in _references(file.schema, ()):
        try:
            resolver.lookup(reference)
        except jsonschema_rs.ReferencingError:
            return path
    return ()


def _references(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        if key == "$ref" and isinstance(part, str):
            yield (*path, key), part
        if key not in _VALUES:
            yield from _references(part, (*path, key))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, offline=True, validate_formats=True, pattern_options=_PATTERNS)


_DIALECT_VALIDATOR = _validator({"$ref": _DIALECT})
_STRICT_VALIDATOR = _validator(_STRICT_DIALECT)
