"""Checks a document against the schema, and suggests a fix for each mistake."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from types import UnionType
from typing import Annotated, Any, ForwardRef, NamedTuple, Union, get_args, get_origin

import pydantic
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from typing_extensions import TypeAliasType

from segmentation.documents.document import Document, Path
from segmentation.documents.problems import (
    MAX_PROBLEMS,
    Problem,
    format_list,
    format_value,
    nearest,
    similarity,
)
from segmentation.rules.schema import conditions
from segmentation.rules.schema.conditions import FORMS
from segmentation.rules.schema.definitions import Definitions
from segmentation.rules.schema.values import ValueTests

Location = tuple[str | int, ...]
"""The location of a mistake in pydantic's form: a path that also contains tags of unions and marks of keys."""


class _Mistake(NamedTuple):
    problem: Problem
    intended_key: str | None = None
    """The known key that a misspelt key stands for, if that is sure enough to read it so."""


def check_structure(document: Document) -> tuple[Definitions | None, list[Problem]]:
    """Returns the definitions, or None if there are problems, and all problems, including those of reading.

    Replaces each misspelt key in the document with the key that was meant, if there is little doubt about it, so that
    a misspelt key hides no other mistake. Any other unknown key could be each key that is missing beside it, so
    that it causes no second mistake. Stops when there are more problems than `Problems` reports.
    """
    problems = list(document.problems)
    if not isinstance(document.value, dict):
        fix = "begin with version: 1 and segments:"
        return None, [*problems, Problem(document.line(()), (), "the file is no mapping", fix)]
    while True:
        try:
            definitions = Definitions.model_validate(document.value)
        except pydantic.ValidationError as error:
            mistakes = list(islice(_mistakes(document, (), error), MAX_PROBLEMS + 1))
        else:
            return None if problems else definitions, problems
        misspelt = {mistake.problem for mistake in mistakes if _replace_misspelt_key(document, mistake)}
        if not misspelt or len(problems) > MAX_PROBLEMS:
            return None, problems + [mistake.problem for mistake in mistakes]
        problems += misspelt


def _replace_misspelt_key(document: Document, mistake: _Mistake) -> bool:
    path = mistake.problem.path
    if mistake.intended_key is None or mistake.intended_key in document.value_at(path[:-1]):
        return False
    document.read_as(path, mistake.intended_key)
    return True


def _mistakes(document: Document, prefix: Location, error: pydantic.ValidationError) -> Iterator[_Mistake]:
    for details in error.errors(include_url=False):
        location = (*prefix, *details["loc"])
        kind = details["type"]
        if kind == "extra_forbidden":
            path, model = _path_and_type(document, location[:-1])
            yield _unknown_key(document, (*path, location[-1]), _keys(model))
        elif kind == "missing":
            path, model = _path_and_type(document, location[:-1])
            key = str(location[-1])
            if _is_misspelt(document, path, key, _keys(model)):
                continue
            found, fix = f"the key {key!r} is missing", f"add it, such as {_EXAMPLES.get(key, key)}"
            yield _Mistake(Problem(document.line(path), path, found, fix))
        elif kind == "union_tag_not_found":
            yield from _mistakes_of_form(document, location, details["input"])
        else:
            path = _path(document, location[:-1] if _is_of_key(details) else location)
            yield _Mistake(Problem(document.line(path), path, _found(details), _fix(details)))


def _is_of_key(details: ErrorDetails) -> bool:
    return details["loc"][-1] == "[key]" and details["type"].startswith(("string_", "path"))


def _unknown_key(document: Document, path: Path, keys: list[str]) -> _Mistake:
    line, key = document.line(path), str(path[-1])
    if path[0] == "measures" and key in ValueTests.TEST_NAMES:
        fix = "put the test into the condition that refers to the measure"
        return _Mistake(Problem(line, path, "a test on a named measure", fix))
    if path[-2:] == ("count", "of"):
        fix = "count takes no path; distinct: {of: …} counts the different values at a path"
        return _Mistake(Problem(line, path, "unknown key 'of'", fix))
    if path[0] == "segments" and len(path) == 3 and key in _condition_keys():
        return _Mistake(Problem(line, path, f"unknown key {key!r}", "put the condition under when:"))
    intended_key = _intended_key(key, keys)
    fix = (
        f"did you mean {intended_key!r}?"
        if intended_key
        else f"expected {'one of ' + format_list(keys) if keys else 'none'}"
    )
    problem = Problem(line, path, f"unknown key {format_value(key)}", fix)
    return _Mistake(problem, intended_key if intended_key and _is_sure(key, intended_key) else None)


def _intended_key(key: str, keys: Sequence[str]) -> str | None:
    other_word = _OTHER_WORDS.get(key.lower())
    return other_word if other_word in keys else nearest(key, keys)


def _is_sure(key: str, intended_key: str) -> bool:
    return _OTHER_WORDS.get(key.lower()) == intended_key or similarity(key, intended_key) >= _SURE_SIMILARITY


def _is_misspelt(document: Document, path: Path, missing_key: str, keys: list[str]) -> bool:
    """Whether an unknown key of the mapping at a path could be the one that is missing."""
    mapping = document.value_at(path)
    explained = ValueTests.TEST_NAMES if path[:1] == ("measures",) else ()
    if sum(form in mapping for form in FORMS) > 1:
        explained = FORMS
    unknown = (key for key in mapping if key not in keys and key not in explained)
    return any(_intended_key(key, keys) in (None, missing_key) for key in unknown)


def _mistakes_of_form(document: Document, location: Location, condition: Any) -> Iterator[_Mistake]:
    """Yields the mistakes of a condition that has no form or several forms."""
    path = _path(document, location)
    forms = [form for form in FORMS if isinstance(condition, dict) and form in condition]
    if forms:
        found, fix = f"two forms in one condition: {' and '.join(forms)}", "join them under all: or any:"
        yield _Mistake(Problem(document.line(path), path, found, fix))
        yield from _mistakes_in_each(document, location, condition, forms)
        return
    misspelt = _misspelt_form(condition) if isinstance(condition, dict) else None
    if misspelt is not None:
        yield _unknown_key(document, (*path, misspelt), list(FORMS))
        return
    keys = format_list(map(format_value, condition)) if isinstance(condition, dict) else ""
    found = f"no form of condition among the keys {keys}" if keys else f"found {format_value(condition)}"
    fix = f"expected a condition: a mapping with one of {', '.join(FORMS)}"
    yield _Mistake(Problem(document.line(path), path, found, fix))


def _misspelt_form(condition: dict[str, Any]) -> str | None:
    """Returns the unknown key that is most similar to a form."""
    known = _condition_keys()
    forms = {key: _intended_key(key, FORMS) for key in condition if key not in known}
    similarities = {key: similarity(key, form) for key, form in forms.items() if form is not None}
    return max(similarities, key=similarities.__getitem__, default=None)


def _mistakes_in_each(
    document: Document, location: Location, condition: dict[str, Any], forms: list[str]
) -> Iterator[_Mistake]:
    """Yields the mistakes of a condition with several forms: those of each form, and keys that belong to no form."""
    valid_keys = []
    for form in forms:
        tagged = (*location, f"<{form}>")
        _, model = _path_and_type(document, tagged)
        keys = _keys(model)
        valid_keys += keys
        try:
            model.model_validate({key: value for key, value in condition.items() if key in keys})
        except pydantic.ValidationError as error:
            yield from _mistakes(document, tagged, error)
    for key in condition:
        if key not in valid_keys:
            yield _unknown_key(document, (*_path(document, location), key), list(dict.fromkeys(valid_keys)))


# Locations: the path in the document, and the type that the schema expects there


def _path(document: Document, location: Location) -> Path:
    return _path_and_type(document, location)[0]


def _path_and_type(document: Document, location: Location) -> tuple[Path, Any]:
    """Returns the path of a location, and the type that the schema expects there."""
    path: Path = ()
    kind: Any = Definitions
    for part in location:
        is_one_for_list = get_origin(kind) is list and not isinstance(document.value_at(path), list)
        if not is_one_for_list and not _is_union(kind):
            path = (*path, part)
        kind = _bare(_part_of(kind, part))
    return path, kind


def _part_of(kind: Any, part: str | int) -> Any:
    if get_origin(kind) in (list, dict):
        return get_args(kind)[-1]
    if _is_union(kind):
        return next(choice for choice in get_args(kind) if pydantic.Tag(str(part)) in choice.__metadata__)
    return next(field.annotation for name, field in kind.model_fields.items() if part in (name, field.alias))


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _bare(kind: Any) -> Any:
    """Returns a type without its alias, its annotations and None."""
    if isinstance(kind, ForwardRef):
        kind = kind.__forward_arg__
    if isinstance(kind, str):
        kind = getattr(conditions, kind)
    if isinstance(kind, TypeAliasType):
        return _bare(kind.__value__)
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    choices = [choice for choice in get_args(kind) if choice is not type(None)]
    return _bare(choices[0]) if type(None) in get_args(kind) and len(choices) == 1 else kind


@cache
def _condition_keys() -> frozenset[str]:
    """Returns the keys of all forms of condition."""
    forms = (_bare(choice) for choice in get_args(_bare(conditions.Condition)))
    return frozenset(key for form in forms for key in _keys(form))


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


# What was found, and the fix

_SURE_SIMILARITY = 0.75
_OTHER_WORDS = {
    "and": "all",
    "or": "any",
    "steps": "sequence",
    "name": "event",
    "filter": "where",
    "window": "within",
    "condition": "when",
    "path": "of",
    "field": "of",
    "avg": "average",
    "mean": "average",
    "unique": "distinct",
    "min": "at_least",
    "gte": "at_least",
    "max": "at_most",
    "lte": "at_most",
    "gt": "more_than",
    "lt": "less_than",
    "is": "equals",
    "eq": "equals",
    "ne": "not_equals",
    "regex": "matches",
}
"""Words of other languages, and what they are called here."""
_EXAMPLES = {
    "version": "version: 1",
    "when": "when: {event: Order Completed}",
    "event": "event: Order Completed",
    "of": "of: properties.total",
    "within": "within: 24h",
    "earn": "earn: [{event: Product Viewed, points: 1}]",
    "points": "points: 1",
}
_MODEL_FIXES = {
    "ValueTests": "expected a mapping of tests, such as {at_least: 1}",
    "TestsOfPath": "expected a path and tests, such as {of: properties.total, at_least: 1}",
    "TestsOfPlainPath": "expected a path and tests, such as {of: properties.category, equals: shoes}",
    "NoTests": "expected {}",
    "OfPath": "expected a path, such as {of: properties.total}",
    "OfPlainPath": "expected a path, such as {of: properties.category}",
}
_FIXES = {
    "string_type": "expected a text",
    "string_pattern_mismatch": "expected a name of a to z, 0 to 9 and _, a letter first, at most 64 characters",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "bool_type": "expected true or false",
    "too_short": "expected at least one entry",
    "string_too_short": "expected a text that is not empty",
}


def _found(details: ErrorDetails) -> str:
    if details["type"] == "too_long":
        return f"found {len(details['input'])} entries"
    return f"found {format_value(details['input'])}"


def _fix(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "model_type":
        return _MODEL_FIXES.get(context["class_name"], "expected a mapping")
    if kind in ("too_long", "string_too_long"):
        return f"a limit is exceeded: at most {context['max_length']} are taken"
    return _FIXES.get(kind, details["msg"])
