"""Files of a tracking plan to the compiled plan, or every mistake in them."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from segmentation.documents.document import Document, Path, read_document
from segmentation.documents.problems import Problem, Problems, listed, nearest, shown
from segmentation.tracking_plan.plan import MASK, OnViolation, PlannedEvent, TrackingPlan

SHARED_PREFIX = "_"
"""Begins the names of files that hold no event, only what several events refer to."""
_BASE = "plan:/"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1024 * 1024, dfa_size_limit=1024 * 1024)
"""Patterns that match in linear time, of a bounded size: no message can make one run on."""
_STRICT_DIALECT = {
    "$schema": _DIALECT,
    "$id": "urn:live-segments:strict-json-schema",
    "$dynamicAnchor": "meta",
    "$ref": _DIALECT,
    "unevaluatedProperties": False,
}
"""JSON Schema without its leave to write unknown keywords, which would hide a misspelt one."""
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
"""Keywords that hold values, in which a `$ref` is a key like any other."""
_LEADS_NOWHERE = ("it leads to nothing in this plan", "expected #/$defs/NAME, or _shared.yaml#/$defs/NAME")
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


class TrackingPlanError(ValueError):
    """A plan is wrong; each line of the message names a file, a line in it, the mistake and the mend."""


class _File(NamedTuple):
    """A file of the plan as it was read."""

    name: str
    document: Document
    schema: Any
    schema_path: Path
    """Where in the document the schema stands."""


def load_tracking_plan(texts: Mapping[str, str]) -> TrackingPlan:
    """Returns the plan in files of YAML, by their names; nothing is read here.

    Raises:
      TrackingPlanError: every mistake in them.
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
    """Returns what the files say of each event; they may refer to each other."""
    for file in files:
        for path, reference in _references(file.schema, file.schema_path):
            target = reference.partition("#")[0]
            if target and target not in {other.name for other in files}:
                mistakes += _told(file.name, Problems([_problem(file.document, path, *_LEADS_NOWHERE)]))
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
                found = f"{shown(event)} stands in {owners[event]} too"
                mend = "keep one file for each event"
                raise Problems([_problem(file.document, ("event",), found, mend)])
            owners[event] = file.name
            planned[event] = PlannedEvent(value["on_violation"], validator.is_valid, validator.iter_errors)
        except Problems as problems:
            mistakes += _told(file.name, problems)
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
        mistakes += _told(name, found)
        return None


def _told(name: str, problems: Problems) -> list[str]:
    return [f"{name}: {problem}" for problem in problems.problems]


def _problem(document: Document, path: Path, found: str, mend: str = "") -> Problem:
    return Problem(document.line(path), path, found, mend)


def _mistakes_around(document: Document) -> Iterator[Problem]:
    """Yields what is wrong with a file's own keys, those around its schema."""
    value: Any = document.value
    if not isinstance(value, dict):
        yield _problem(document, (), "the file is no mapping", "begin with event: and schema:")
        return
    meant = set()
    for key in value.keys() - set(_KEYS):
        close = nearest(key, _KEYS)
        meant.add(close)
        mend = f"did you mean {close!r}?" if close else f"expected one of {listed(_KEYS)}"
        yield _problem(document, (key,), f"unknown key {shown(key)}", mend)
    event = value.get("event")
    if "event" not in meant and not (isinstance(event, str) and event):
        mend = "expected an event's name, or $page, $screen, $identify, $group or $alias"
        yield _problem(document, ("event",), f"found {shown(event)}", mend)
    if "on_violation" not in meant and value.get("on_violation") not in get_args(OnViolation):
        found = f"found {shown(value.get('on_violation'))}"
        yield _problem(document, ("on_violation",), found, "expected reject or flag")
    if not isinstance(value.get("description", ""), str):
        yield _problem(document, ("description",), f"found {shown(value['description'])}", "expected a text")
    if "schema" not in meant and not isinstance(value.get("schema"), dict):
        mend = "expected the JSON Schema of the whole message"
        yield _problem(document, ("schema",), f"found {shown(value.get('schema'))}", mend)


def _mistakes_in_schema(document: Document, path: Path) -> list[Problem]:
    """Returns what JSON Schema refuses, and, if that is nothing, the keywords that it does not know."""
    schema = document.value_at(path)
    if not isinstance(schema, dict):
        return [_problem(document, path, "the file is no mapping", "begin with $defs:")]
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
        return _problem(document, place, f"found {shown(error.instance)}", f"expected {listed(_TYPES)}")
    return _problem(document, place, error.message)


def _unknown_keywords(document: Document, path: Path, error: ValidationError) -> Iterator[Problem]:
    kind = error.kind
    # Around an unknown keyword everything counts as unevaluated; its own place has only keys that no rule names.
    if isinstance(kind, ValidationErrorKind.UnevaluatedProperties):
        for keyword in kind.unexpected:
            if keyword not in _KEYWORDS:
                close = difflib.get_close_matches(keyword, _KEYWORDS, n=1)
                mend = f"did you mean {close[0]!r}?" if close else "expected a keyword of JSON Schema 2020-12"
                place = (*path, *error.instance_path, keyword)
                yield _problem(document, place, f"unknown keyword {shown(keyword)}", mend)


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
    """Returns what was found, and the mend, of a schema whose form is right."""
    kind: Any = error.kind
    match kind:
        case ValidationErrorKind.Referencing():
            return _LEADS_NOWHERE
        case ValidationErrorKind.Format(format="regex") | ValidationErrorKind.PropertyNames():
            return (
                "a pattern that is not taken",
                "expected no look-around, no back-reference, few repetitions",
            )
        case _:
            return error.message, "use one that JSON Schema 2020-12 names, or leave it out"


def _unresolved(file: _File, registry: jsonschema_rs.Registry) -> Path:
    """Returns the place of the first `$ref` that leads nowhere."""
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
