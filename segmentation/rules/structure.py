"""Checks a document against the schema, and tells of each mistake what would be right."""

import difflib
from typing import Any

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from segmentation.rules import schema
from segmentation.rules.document import Document, Path
from segmentation.rules.problems import Problem
from segmentation.rules.schema import FORMS, Definitions

_FORM_KEYS = {
    "<all>": schema.AllCondition, "<any>": schema.AnyCondition, "<not>": schema.NotCondition,
    "<segment>": schema.SegmentCondition, "<event>": schema.EventCondition, "<measure>": schema.MeasureCondition,
    "<sequence>": schema.SequenceCondition, "<trait>": schema.TraitCondition, "<score>": schema.ScoreCondition,
}  # fmt: skip
_LIST_ITEM_MODELS = {
    "sequence": schema.StepDefinition, "then_not": schema.ThenNotDefinition, "earn": schema.EarnDefinition,
}  # fmt: skip
_NAMED_MODELS = {
    "measures": schema.MeasureDefinition, "scores": schema.ScoreDefinition, "segments": schema.SegmentDefinition,
}  # fmt: skip


def check_structure(document: Document) -> tuple[Definitions | None, list[Problem]]:
    """Returns the definitions, None where there are problems, and the problems."""
    value = document.value if isinstance(document.value, dict) else {}
    if value is not document.value:
        return None, [Problem(1, (), "the file is no mapping", "begin with version: 1 and segments:")]
    try:
        return Definitions.model_validate(value), []
    except pydantic.ValidationError as error:
        return None, [_problem(document, details) for details in error.errors(include_url=False)]


def _problem(document: Document, details: ErrorDetails) -> Problem:
    path = _document_path(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return Problem(document.line(path), path, f"unknown key {path[-1]!r}", _nearest(details["loc"]))
    if kind == "missing":
        parent = path[:-1]
        return Problem(document.line(parent), parent, f"the key {path[-1]!r} is missing", "add it")
    if kind == "union_tag_not_found":
        return Problem(document.line(path), path, *_no_form(details["input"]))
    if kind == "string_pattern_mismatch" and "[key]" in details["loc"]:
        mend = "expected a name: a to z, 0 to 9 and _, beginning with a letter, at most 64 characters"
        if "where" in path:
            mend = _MENDS["path"]
        return Problem(document.line(path), path, f"found {path[-1]!r}", mend)
    return Problem(document.line(path), path, f"found {_shown(details['input'])}", _mend(details))


def _document_path(location: tuple[str | int, ...]) -> Path:
    """Drops what pydantic adds to the way to a value: tags of unions and the marks of keys."""
    return tuple(part for part in location if not (isinstance(part, str) and part[:1] in "<[" and part[-1:] in ">]"))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_MENDS = {
    "path": "expected a dotted path into the message, such as properties.price",
    "string_type": "expected a text",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "bool_type": "expected true or false",
    "too_short": "expected at least one entry",
    "string_too_short": "expected a text that is not empty",
}


def _mend(details: ErrorDetails) -> str:
    kind = details["type"]
    if kind == "string_pattern_mismatch":
        plain = "[]" in str(details["input"]) and r"\[" not in str(details.get("ctx", {}).get("pattern", ""))[12:]
        return _MENDS["path"] + (", without [] here" if plain else "") if "." in details["ctx"]["pattern"] else (
            "expected a name: a to z, 0 to 9 and _"
        )
    if kind == "literal_error":
        return f"expected {details['ctx']['expected']}"
    if kind in ("too_long", "string_too_long"):
        return f"a limit is exceeded: at most {details['ctx'].get('max_length')} are taken"
    return _MENDS.get(kind, details["msg"])


def _no_form(value: Any) -> tuple[str, str]:
    forms = ", ".join(FORMS)
    if not isinstance(value, dict):
        return f"found {_shown(value)}", f"expected a condition: a mapping with one of {forms}"
    written = [form for form in FORMS if form in value]
    if written:
        return f"two forms in one condition: {' and '.join(written)}", "keep one, or join them under all: or any:"
    for key in value:
        close = difflib.get_close_matches(str(key), FORMS, n=1)
        if close:
            return f"unknown key {key!r}", f"did you mean {close[0]!r}?"
    found = f"unknown key {next(iter(value))!r}" if value else "an empty mapping"
    return found, f"expected a condition: a mapping with one of {forms}"


def _nearest(location: tuple[str | int, ...]) -> str:
    keys = sorted(_valid_keys(location[:-1]))
    close = difflib.get_close_matches(str(location[-1]), keys, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(keys)}"


def _valid_keys(location: tuple[str | int, ...]) -> list[str]:
    """Returns the keys that are valid in the mapping at a place, found by walking the models."""
    model: type[pydantic.BaseModel] = Definitions
    for index, part in enumerate(location):
        if part in _FORM_KEYS:
            model = _FORM_KEYS[str(part)]
        elif part == "<of>":
            model = schema.PointsOf
        elif isinstance(part, int) and location[index - 1] in _LIST_ITEM_MODELS:
            model = _LIST_ITEM_MODELS[str(location[index - 1])]
        elif index == 1 and location[0] in _NAMED_MODELS:
            model = _NAMED_MODELS[str(location[0])]
        elif part in schema.Measured.MEASURES and issubclass(model, schema.Measured):
            model = _measure_model(str(part))
        elif index and location[index - 1] == "where":
            model = schema.Tests
    return [_written_as(name, field) for name, field in model.model_fields.items()]


def _measure_model(measure: str) -> type[pydantic.BaseModel]:
    if measure == "count":
        return schema.Tests
    return schema.TestsOfPlainPath if measure in ("first", "last") else schema.TestsOfPath


def _written_as(name: str, field: FieldInfo) -> str:
    return field.alias or name
