"""Checks what the schema cannot express: references, cycles, missing tests, regular expressions and limits.

The checks walk the document as it was written, so that a mistake in the structure hides no other mistake. They skip
malformed values, because `structure` reports those.
"""

from collections.abc import Iterator
from math import ceil, floor, inf
from typing import Any

import re2

from segmentation.documents.document import Document, Path
from segmentation.documents.problems import MAX_LISTED, Problem, enough, format_list, format_value, nearest
from segmentation.durations import parse_duration
from segmentation.matching.paths import canonical_path, walks_lists
from segmentation.matching.predicates import compile_expression, numeric_operands
from segmentation.memories.rows import MAX_EVENTS, MAX_ROWS
from segmentation.rules.schema.conditions import FORMS, SequenceCondition
from segmentation.rules.schema.definitions import Definitions
from segmentation.rules.schema.measures import Measured
from segmentation.rules.schema.values import MAX_EXPRESSION_CHARACTERS, ValueTests

MAX_REFERENCE_DEPTH = 100
MAX_INSTRUCTIONS = 2_000_000
"""The most instructions of all expressions of a file, compiled: 32 MB. The rest of them is not checked."""
_INSTRUCTIONS_OF_TOO_LARGE = 100_000
"""What an expression counts that RE2 refuses as too large, because finding this out takes up to 100 ms."""

_TESTED_FORMS = frozenset({"measure", "score", "trait"})
_BESIDE_MEASURES = {"event", "where", "within", "description"}
_BESIDE_DURATIONS = {"event", "where", "same"}
_MAX_SUGGESTIONS = 20
"""The most references that get a suggestion, because finding the nearest of many names is slow."""
_MAX_CYCLE_NAMES = 10


def check_references(document: Document) -> list[Problem]:
    """Returns the mistakes in a document that `check_structure` does not find."""
    return enough(_Checks(document).all())


def events_needed(tests: dict[str, Any]) -> int:
    """Returns the number of events (or of different values) that is enough to decide tests on that number."""
    needed = 0
    for name, operand in tests.items():
        for number in numeric_operands({name: operand}):
            if abs(number) < inf:  # the schema rejects infinite numbers
                at_edge = ceil(number) if name in ("at_least", "less_than") else floor(number) + 1
                needed = max(needed, at_edge)
    return needed


class _Checks:
    def __init__(self, document: Document) -> None:
        self._document = document
        root = _mapping(document.value)
        self._measures = _mapping(root.get("measures"))
        self._scores = _mapping(root.get("scores"))
        self._segments = _mapping(root.get("segments"))
        self._named = {"measure": self._measures, "score": self._scores, "segment": self._segments}
        self._has_unknown_section = not root.keys() <= Definitions.model_fields.keys()
        self._suggestions = 0
        self._instructions = 0

    def all(self) -> Iterator[Problem]:
        for name, measure in self._measures.items():
            yield from self._check_named_measure(measure, ("measures", name))
        for name, score in self._scores.items():
            for index, earn in enumerate(_items(_mapping(score).get("earn"))):
                yield from self._check_selection(_mapping(earn), ("scores", name, "earn", index))
        for name, segment in self._segments.items():
            yield from self._check_condition(_mapping(segment).get("when"), ("segments", name, "when"))
        yield from self._check_references()

    def _problem(self, path: Path, found: str, fix: str) -> Problem:
        return Problem(self._document.line(path), path, found, fix)

    # Conditions

    def _check_condition(self, condition: Any, path: Path) -> Iterator[Problem]:
        for form in FORMS:
            if isinstance(condition, dict) and form in condition:
                yield from self._check_form(form, condition, path)

    def _check_form(self, form: str, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        match form:
            case "all" | "any":
                for index, inner in enumerate(_items(condition[form])):
                    yield from self._check_condition(inner, (*path, form, index))
            case "not":
                yield from self._check_condition(condition["not"], (*path, "not"))
            case "event":
                yield from self._check_event_condition(condition, path)
            case "sequence":
                yield from self._check_sequence(condition, path)
            case "measure" | "score" | "segment":
                yield from self._check_reference(condition[form], form, (*path, form))
        if form == "measure":
            yield from self._check_named_bound(condition, path)
        if form in _TESTED_FORMS:
            yield from self._check_tests(condition, path, beside=_TESTED_FORMS)

    def _check_reference(self, name: Any, form: str, path: Path) -> Iterator[Problem]:
        named = self._named[form]
        if not named and self._has_unknown_section:  # the section's own key may be misspelt
            return
        if isinstance(name, str) and name not in named:
            yield self._problem(path, f"unknown {form} {format_value(name)}", self._reference_fix(name, form))

    def _reference_fix(self, name: str, form: str) -> str:
        named = self._named[form]
        self._suggestions += 1
        suggestion = nearest(name, named) if self._suggestions <= _MAX_SUGGESTIONS else None
        if suggestion:
            return f"did you mean {suggestion!r}?"
        if not named:
            return f"the file names no {form}"
        return (
            f"known are {format_list(named)}"
            if len(named) <= MAX_LISTED
            else f"expected a name under {form}s:"
        )

    def _check_event_condition(self, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._check_measured(condition, path)
        for name in _written_measures(condition):
            beside = frozenset() if name == "count" else frozenset({"of"})
            yield from self._check_tests(condition[name], (*path, name), beside)
            yield from self._check_bound(name, condition[name], "within" in condition, (*path, name))

    # Measures, tests and events

    def _check_named_measure(self, measure: Any, path: Path) -> Iterator[Problem]:
        yield from self._check_measured(_mapping(measure), path)
        if isinstance(measure, dict) and measure.keys() <= _BESIDE_MEASURES:
            yield self._problem(path, "no measure", f"add one of {', '.join(Measured.MEASURES)}")

    def _check_named_bound(self, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        name = condition["measure"]
        measure = _mapping(self._measures.get(name)) if isinstance(name, str) else {}
        for kind in _written_measures(measure)[:1]:
            spec = {**_mapping(measure[kind]), **_tests(condition)}
            yield from self._check_bound(kind, spec, "within" in measure, path)

    def _check_bound(self, name: str, spec: Any, windowed: bool, path: Path) -> Iterator[Problem]:
        """Reports tests on more events, or values, than a profile remembers: they could never be decided."""
        spec = _mapping(spec)
        most, what = MAX_EVENTS, "events"
        if name == "distinct" and _may_walk_lists(spec.get("of")):
            most, what = MAX_ROWS, "values"
        elif name != "distinct" and not (name == "count" and windowed):
            return
        for test, operand in _tests(spec).items():
            if events_needed({test: operand}) > most:
                found = f"{format_value(operand)} can never be decided: at most {most} {what} are remembered"
                fix = f"at_least: {most} and less_than: {most} are the most that can"
                yield self._problem((*path, test), found, fix)

    def _check_measured(self, measured: dict[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._check_selection(measured, path)
        written = _written_measures(measured)
        if len(written) > 1:
            fix = "keep one, or join two conditions under all:"
            yield self._problem((*path, written[1]), f"two measures: {' and '.join(written)}", fix)

    def _check_selection(self, selection: dict[str, Any], path: Path) -> Iterator[Problem]:
        written: dict[str, str] = {}
        for key, tests in _mapping(selection.get("where")).items():
            yield from self._check_tests(tests, (*path, "where", key), beside=frozenset())
            first = written.setdefault(_canonical(key), key)
            if first != key:
                found = f"the same path as {format_value(first)}"
                yield self._problem((*path, "where", key), found, "join their tests in one mapping")

    def _check_tests(self, tests: Any, path: Path, beside: frozenset[str]) -> Iterator[Problem]:
        """Checks tests, and that there are some beside the keys that stand beside tests."""
        if not isinstance(tests, dict):
            return
        if tests.keys() <= beside:
            yield self._problem(path, "no test", "add one, such as at_least: 1")
        if isinstance(tests.get("matches"), str):
            yield from self._check_expression(tests["matches"], (*path, "matches"))

    def _check_expression(self, expression: str, path: Path) -> Iterator[Problem]:
        if len(expression) > MAX_EXPRESSION_CHARACTERS or self._instructions > MAX_INSTRUCTIONS:
            return
        try:
            self._instructions += compile_expression(expression).programsize
        except re2.error as error:
            reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
            fix = "see the syntax of RE2 (no look-around, no back-reference)"
            yield self._problem(path, f"an expression that RE2 refuses: {reason}", fix)
            if "too large" in reason:
                self._instructions += _INSTRUCTIONS_OF_TOO_LARGE
        if self._instructions > MAX_INSTRUCTIONS:
            found = f"the expressions up to here have more than {MAX_INSTRUCTIONS} instructions of RE2"
            yield self._problem(path, found, "shorten them; repetitions such as {1,100} take the most")

    # Sequences

    def _check_sequence(self, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        for index, step in enumerate(_items(condition["sequence"])):
            step_path = (*path, "sequence", index)
            yield from self._check_entry(_mapping(step), condition, step_path)
            if index == 0 and "max_gap" in _mapping(step):
                yield self._problem((*step_path, "max_gap"), "a gap before the first step", "leave it out")
        then_not, then_not_path = condition.get("then_not"), (*path, "then_not")
        entries = [(entry, (*then_not_path, index)) for index, entry in enumerate(_items(then_not))]
        for entry, entry_path in entries or [(then_not, then_not_path)]:
            yield from self._check_entry(_mapping(entry), condition, entry_path)
            yield from self._check_then_not(_mapping(entry), condition, entry_path)

    def _check_entry(self, entry: dict[str, Any], condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._check_selection(entry, path)
        is_known = condition.keys() <= SequenceCondition.model_fields.keys()  # else, same: may be misspelt
        if "same" in entry and "same" not in condition and is_known:
            fix = "add same: beside sequence:, and here only where the path differs"
            yield self._problem((*path, "same"), "same: in a sequence without same:", fix)

    def _check_then_not(
        self, entry: dict[str, Any], condition: dict[str, Any], path: Path
    ) -> Iterator[Problem]:
        if "for" in entry and "during" in entry:
            yield self._problem(path, "both for: and during:", "give exactly one")
        if entry and entry.keys() <= _BESIDE_DURATIONS:
            yield self._problem(path, "neither for: nor during:", "give exactly one")
        within_ms = _duration_ms(condition.get("within"))
        for key in ("for", "during"):
            duration_ms = _duration_ms(entry.get(key))
            if duration_ms is not None and within_ms is not None and duration_ms >= within_ms:
                found = f"{entry[key]} is not shorter than within: {condition['within']}"
                yield self._problem((*path, key), found, "shorten it, or lengthen within:")

    # References among segments

    def _check_references(self) -> Iterator[Problem]:
        """Reports each cycle once, and each chain of references that is longer than `MAX_REFERENCE_DEPTH`."""
        references = {
            name: sorted(set(_referred(_mapping(segment).get("when"))) & self._segments.keys())
            for name, segment in self._segments.items()
        }
        depths: dict[str, int] = {}
        for name in references:
            if name not in depths:
                yield from self._follow(name, references, depths)

    def _follow(
        self, start: str, references: dict[str, list[str]], depths: dict[str, int]
    ) -> Iterator[Problem]:
        """Follows all references from a segment, without recursion, and adds each segment's depth to `depths`."""
        trail = {start: iter(references[start])}
        while trail:
            name, pending = next(reversed(trail.items()))
            inner = next(pending, None)
            if inner is None:
                del trail[name]
                depths[name] = 1 + max((depths.get(other, 0) for other in references[name]), default=0)
                if depths[name] == MAX_REFERENCE_DEPTH + 1:
                    found = f"segments refer to segments more than {MAX_REFERENCE_DEPTH} deep"
                    yield self._problem(("segments", name), found, "flatten them")
            elif inner in trail:
                names = list(trail)
                found = f"segments refer to each other in a cycle: {_cycle(names[names.index(inner) :])}"
                yield self._problem(("segments", inner), found, "break the cycle")
            elif inner not in depths:
                trail[inner] = iter(references[inner])


def _referred(condition: Any) -> Iterator[str]:
    if isinstance(condition, dict):
        if isinstance(condition.get("segment"), str):
            yield condition["segment"]
        for form in ("all", "any"):
            for inner in _items(condition.get(form)):
                yield from _referred(inner)
        yield from _referred(condition.get("not"))


def _cycle(names: list[str]) -> str:
    if len(names) > _MAX_CYCLE_NAMES:
        return " → ".join([*names[: _MAX_CYCLE_NAMES - 1], "…", names[-1], names[0]])
    return " → ".join([*names, names[0]])


def _canonical(path: str) -> str:
    try:
        return canonical_path(path)
    except ValueError:
        return path


def _may_walk_lists(path: Any) -> bool:
    try:
        return walks_lists(str(path))
    except ValueError:
        return True


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tests(value: Any) -> dict[str, Any]:
    return {key: operand for key, operand in _mapping(value).items() if key in ValueTests.TEST_NAMES}


def _written_measures(measured: dict[str, Any]) -> list[str]:
    return [name for name in Measured.MEASURES if name in measured]


def _duration_ms(value: Any) -> int | None:
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None
