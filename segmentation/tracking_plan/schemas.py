"""Finds the schemas of a tracking plan, what their references mean, and what no plan may contain."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from segmentation.documents.document import Document, Path
from segmentation.documents.problems import Problem, format_value

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONE, _LIST, _MAP = "one", "list", "map"
_SUBSCHEMAS = {
    "$defs": _MAP,
    "additionalProperties": _ONE,
    "allOf": _LIST,
    "anyOf": _LIST,
    "contains": _ONE,
    "contentSchema": _ONE,
    "definitions": _MAP,
    "dependencies": _MAP,
    "dependentSchemas": _MAP,
    "else": _ONE,
    "if": _ONE,
    "items": _ONE,
    "not": _ONE,
    "oneOf": _LIST,
    "patternProperties": _MAP,
    "prefixItems": _LIST,
    "properties": _MAP,
    "propertyNames": _ONE,
    "then": _ONE,
    "unevaluatedItems": _ONE,
    "unevaluatedProperties": _ONE,
}
"""The keywords with schemas inside: one, a list, or a mapping."""
_REFUSED = {
    "$dynamicAnchor": "use $ref, with #/$defs/NAME",
    "$dynamicRef": "use $ref, with #/$defs/NAME",
    "$id": "leave it out; other files refer to a schema by the name of its file",
    "$recursiveAnchor": "use $ref, with #/$defs/NAME",
    "$recursiveRef": "use $ref, with #/$defs/NAME",
    "$vocabulary": "leave it out",
}
"""Keywords that change what other keywords or references mean."""
_NO_TARGET = ("its target is not in this plan", "expected #/$defs/NAME, or _shared.yaml#/$defs/NAME")


class PlanFile(NamedTuple):
    """One file of the plan, parsed."""

    name: str
    document: Document
    schema: Any
    schema_path: Path
    """The path of the schema in the document."""

    def problem(self, path: Path, found: str, fix: str = "") -> Problem:
        """Returns a mistake at a path in the schema."""
        place = (*self.schema_path, *path)
        return Problem(self.document.line(place), place, found, fix)


class Schema(NamedTuple):
    """One schema in a file: the whole one, or one inside another."""

    file: PlanFile
    path: Path
    value: Any
    """A mapping, or true or false."""


class Schemas:
    """All schemas of a plan, each under its number, and the schemas that they refer to."""

    def __init__(self, files: Sequence[PlanFile]) -> None:
        self.all: list[Schema] = []
        self.roots: dict[str, int] = {}
        """The number of each file's whole schema."""
        self._numbers: dict[tuple[str, Path], int] = {}
        self._anchors: dict[tuple[str, str], int] = {}
        for file in files:
            self.roots[file.name] = len(self.all)
            for path, value in schemas_in(file.schema):
                # A reference writes an index as a text.
                self._numbers[file.name, tuple(map(str, path))] = len(self.all)
                if isinstance(value, dict) and "$anchor" in value:
                    self._anchors[file.name, value["$anchor"]] = len(self.all)
                self.all.append(Schema(file, path, value))

    def inside(self, number: int, *path: str | int) -> int:
        """Returns the number of the schema at a path in a schema."""
        schema = self.all[number]
        return self._numbers[schema.file.name, tuple(map(str, (*schema.path, *path)))]

    def target(self, number: int) -> int | None:
        """Returns the number of the schema that a schema's `$ref` means; None if it is not in the plan."""
        schema = self.all[number]
        name, _, fragment = schema.value["$ref"].partition("#")
        name = name or schema.file.name
        fragment = unquote(fragment)
        if fragment and fragment[0] != "/":
            return self._anchors.get((name, fragment))
        parts = (part.replace("~1", "/").replace("~0", "~") for part in fragment.split("/")[1:])
        return self._numbers.get((name, tuple(parts)))

    def without_target(self) -> Iterator[tuple[str, Problem]]:
        """Yields the name of the file and the mistake for each `$ref` whose target is not a schema of the plan."""
        for number, (file, path, value) in enumerate(self.all):
            if isinstance(value, dict) and "$ref" in value and self.target(number) is None:
                yield file.name, file.problem((*path, "$ref"), *_NO_TARGET)


def schemas_in(schema: Any) -> Iterator[tuple[Path, Any]]:
    """Yields the path and the value of a valid schema and of each schema inside it."""
    waiting: list[tuple[Path, Any]] = [((), schema)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        keywords = value if isinstance(value, dict) else {}
        inside = [part for keyword in keywords for part in subschemas(value, keyword)]
        waiting += (((*path, *place), part) for place, part in reversed(inside))


def subschemas(schema: Mapping[str, Any], keyword: str) -> Iterator[tuple[Path, Any]]:
    """Yields the path and the value of each schema directly inside one of a schema's keywords."""
    kind, value = _SUBSCHEMAS.get(keyword), schema.get(keyword)
    if value is None:
        return
    if kind == _ONE:
        yield (keyword,), value
    elif kind == _LIST:
        yield from (((keyword, index), part) for index, part in enumerate(value))
    elif kind == _MAP:
        # `dependencies` also takes lists of names.
        yield from (((keyword, key), part) for key, part in value.items() if not isinstance(part, list))


def numbers_out_of_json(file: PlanFile) -> Iterator[Problem]:
    """Yields the mistake for each number that JSON does not have, because the validator would take it for null."""
    waiting: list[tuple[Path, Any]] = [((), file.schema)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            yield file.problem(path, f"found {value}", "expected a number that JSON can hold")
        elif isinstance(value, dict):
            waiting += (((*path, key), part) for key, part in value.items())
        elif isinstance(value, list):
            waiting += (((*path, index), part) for index, part in enumerate(value))


def refused_keywords(file: PlanFile) -> Iterator[Problem]:
    """Yields the mistakes in the keywords that begin with `$`, of a file that is valid JSON Schema."""
    anchors: set[str] = set()
    for path, value in schemas_in(file.schema):
        if not isinstance(value, dict):
            continue
        for keyword in value.keys() & _REFUSED.keys():
            fix = _REFUSED[keyword]
            yield file.problem((*path, keyword), f"{keyword} is not supported", fix)
        if value.get("$schema", DIALECT).removesuffix("#") != DIALECT:
            found = f"found {format_value(value['$schema'])}"
            yield file.problem((*path, "$schema"), found, f"expected {DIALECT}, or leave it out")
        anchor = value.get("$anchor")
        if anchor in anchors:
            found = f"the anchor {format_value(anchor)} occurs twice in this file"
            yield file.problem((*path, "$anchor"), found, "rename one of them")
        elif anchor is not None:
            anchors.add(anchor)
