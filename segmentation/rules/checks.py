"""What the schema cannot tell: references, cycles, tests that fit, what can be decided within the bounds.

The checks walk the document as it was written, so that they also find what stands beside a mistake in the
structure; what is malformed they leave to the schema.
"""

from collections.abc import Iterator
from math import ceil, floor
from typing import Any

import re2

from segmentation.durations import parse_duration
from segmentation.paths import walks_lists
from segmentation.predicates import numeric_operands
from segmentation.rows import MAX_EVENTS
from segmentation.rules.document import Document, Path
from segmentation.rules.problems import Problem
from segmentation.rules.schema import Measured, Tests

MAX_REFERENCE_DEPTH = 100

_QUIET = re2.Options()
_QUIET.log_errors = False


def check_meaning(document: Document) -> list[Problem]:
    """Returns the mistakes in a document that its structure does not show."""
    return list(_Checks(document).all())


def events_needed(tests: dict[str, Any]) -> int:
    """Returns how many events (or values) are enough to decide tests on their number."""
    needed = 0
    for name, operand in tests.items():
        for number in numeric_operands({name: operand}):
            at_edge = ceil(number) if name in ("at_least", "less_than") else floor(number) + 1
            needed = max(needed, at_edge)
    return needed


class _Checks:
    def __init__(self, document: Document) -> None:
        self._document = document
        root = document.value if isinstance(document.value, dict) else {}
        self._measures = _mapping(root.get("measures"))
        self._scores = _mapping(root.get("scores"))
        self._segments = _mapping(root.get("segments"))

    def all(self) -> Iterator[Problem]:
        for name, measure in self._measures.items():
            if isinstance(measure, dict):
                yield from self._check_named_measure(measure, ("measures", name))
        for name, score in self._scores.items():
            for index, earn in enumerate(_items(_mapping(score).get("earn"))):
                yield from self._check_selection(_mapping(earn), ("scores", name, "earn", index))
        for name, segment in self._segments.items():
            yield from self._check_condition(_mapping(segment).get("when"), ("segments", name, "when"))
        yield from self._check_cycles()

    def _problem(self, path: Path, found: str, mend: str) -> Problem:
        return Problem(self._document.line(path), path, found, mend)

    def _check_named_measure(self, measure: dict[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._check_measured(measure, path)
        written = _written_measures(measure)
        if not written:
            yield self._problem(path, "no measure", f"add one of {', '.join(Measured.MEASURES)}")
        for name in written:
            if _tests(measure[name]):
                mend = "put the test into the condition that refers to the measure"
                yield self._problem((*path, name), "a test on a named measure", mend)

    def _check_condition(self, condition: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(condition, dict):
            return
        for form in ("all", "any"):
            for index, inner in enumerate(_items(condition.get(form))):
                yield from self._check_condition(inner, (*path, form, index))
        if "not" in condition:
            yield from self._check_condition(condition["not"], (*path, "not"))
        if "segment" in condition:
            yield from self._check_reference(condition, "segment", self._segments, path)
        if "sequence" in condition:
            yield from self._check_sequence(condition, path)
        elif "event" in condition:
            yield from self._check_event_condition(condition, path)
        for form, named in (("measure", self._measures), ("score", self._scores)):
            if form in condition:
                yield from self._check_reference(condition, form, named, path)
                yield from self._check_tests(condition, path)
        if "trait" in condition:
            yield from self._check_tests(condition, path)
        if "measure" in condition and isinstance(condition["measure"], str):
            yield from self._check_named_bound(condition, path)

    def _check_reference(
        self, condition: dict[str, Any], form: str, named: dict[str, Any], path: Path
    ) -> Iterator[Problem]:
        name = condition[form]
        if isinstance(name, str) and name not in named:
            known = (
                f"known are {', '.join(sorted(map(str, named))[:20])}"
                if named
                else f"the file names no {form}"
            )
            yield self._problem((*path, form), f"unknown {form} {name!r}", known)

    def _check_event_condition(self, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._check_measured(condition, path)
        for name in _written_measures(condition):
            yield from self._check_tests(_mapping(condition[name]), (*path, name))
            windowed = "within" in condition
            yield from self._check_bound(name, condition[name], windowed, (*path, name))

    def _check_named_bound(self, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        measure = _mapping(self._measures.get(condition["measure"]))
        for name in _written_measures(measure)[:1]:
            spec = {**_mapping(measure[name]), **_tests(condition)}
            yield from self._check_bound(name, spec, "within" in measure, path)

    def _check_bound(self, name: str, spec: Any, windowed: bool, path: Path) -> Iterator[Problem]:
        """A number of events that is never remembered can never be reached."""
        spec = _mapping(spec)
        walks = walks_lists(str(spec.get("of", "")))
        if name not in ("count", "distinct") or (name == "count" and not windowed) or walks:
            return
        if events_needed(_tests(spec)) > MAX_EVENTS:
            found = f"a number that can never be decided: at most {MAX_EVENTS} events are remembered"
            yield self._problem(path, found, f"compare with less than {MAX_EVENTS}")

    def _check_measured(self, measured: dict[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._check_selection(measured, path)
        written = _written_measures(measured)
        if len(written) > 1:
            mend = "keep one, or join two conditions under all:"
            yield self._problem((*path, written[1]), f"two measures: {' and '.join(written)}", mend)

    def _check_tests(self, tests: dict[str, Any], path: Path) -> Iterator[Problem]:
        if not _tests(tests):
            yield self._problem(path, "no test", "add one, such as at_least: 1")
        yield from self._check_expression(tests, path)

    def _check_expression(self, tests: dict[str, Any], path: Path) -> Iterator[Problem]:
        expression = tests.get("matches")
        if isinstance(expression, str):
            try:
                re2.compile(expression, _QUIET)
            except re2.error as error:
                reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
                found = f"an expression that RE2 refuses: {reason}"
                yield self._problem(
                    (*path, "matches"), found, "see the syntax of RE2 (no look-around, no back-reference)"
                )

    def _check_selection(self, selection: dict[str, Any], path: Path) -> Iterator[Problem]:
        for key, tests in _mapping(selection.get("where")).items():
            if isinstance(tests, dict):
                yield from self._check_tests(tests, (*path, "where", key))

    def _check_sequence(self, condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        within_ms = _duration_ms(condition.get("within"))
        for index, step in enumerate(_items(condition["sequence"])):
            step_path = (*path, "sequence", index)
            yield from self._check_selection(_mapping(step), step_path)
            yield from self._check_same(_mapping(step), condition, step_path)
            if index == 0 and "max_gap" in _mapping(step):
                yield self._problem((*step_path, "max_gap"), "a gap before the first step", "leave it out")
        then_not = condition.get("then_not", [])
        entries = _items(then_not) if isinstance(then_not, list) else [then_not]
        for index, entry in enumerate(map(_mapping, entries)):
            entry_path = (*path, "then_not", index) if isinstance(then_not, list) else (*path, "then_not")
            yield from self._check_selection(entry, entry_path)
            yield from self._check_same(entry, condition, entry_path)
            yield from self._check_then_not_duration(entry, within_ms, entry_path)

    def _check_same(self, slot: dict[str, Any], condition: dict[str, Any], path: Path) -> Iterator[Problem]:
        if "same" in slot and "same" not in condition:
            mend = "add same: beside sequence:, and here only where the path differs"
            yield self._problem((*path, "same"), "same: in a sequence without same:", mend)

    def _check_then_not_duration(
        self, entry: dict[str, Any], within_ms: int | None, path: Path
    ) -> Iterator[Problem]:
        written = [key for key in ("for", "during") if key in entry]
        if len(written) != 1:
            found = "both for: and during:" if written else "neither for: nor during:"
            yield self._problem(path, found, "give exactly one")
        for key in written:
            duration_ms = _duration_ms(entry[key])
            if duration_ms is not None and within_ms is not None and duration_ms >= within_ms:
                mend = "make it shorter than the sequence's within:"
                yield self._problem((*path, key), f"{entry[key]} is not shorter than within", mend)

    def _check_cycles(self) -> Iterator[Problem]:
        """Reports each cycle once, and chains of references that are too long to follow."""
        references = {
            name: sorted(set(_referred(_mapping(segment).get("when"))))
            for name, segment in self._segments.items()
        }
        depth: dict[str, int] = {}
        for start in references:
            trail: list[tuple[str, Iterator[str]]] = (
                [(start, iter(references[start]))] if start not in depth else []
            )
            on_trail = {start}
            while trail:
                name, pending = trail[-1]
                inner = next((other for other in pending if other in references), None)
                if inner is None:
                    trail.pop()
                    on_trail.discard(name)
                    depth[name] = 1 + max((depth.get(other, 0) for other in references[name]), default=0)
                    if depth[name] == MAX_REFERENCE_DEPTH + 1:
                        found = f"segments refer to segments more than {MAX_REFERENCE_DEPTH} deep"
                        yield self._problem(("segments", name), found, "flatten them")
                elif inner in on_trail:
                    cycle = [step for step, _ in trail]
                    cycle = [*cycle[cycle.index(inner) :], inner]
                    found = f"segments refer to each other in a cycle: {' → '.join(cycle)}"
                    yield self._problem(("segments", name), found, "break the cycle")
                elif inner not in depth:
                    trail.append((inner, iter(references[inner])))
                    on_trail.add(inner)


def _referred(condition: Any) -> Iterator[str]:
    if isinstance(condition, dict):
        if isinstance(condition.get("segment"), str):
            yield condition["segment"]
        for form in ("all", "any"):
            for inner in _items(condition.get(form)):
                yield from _referred(inner)
        yield from _referred(condition.get("not"))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tests(value: Any) -> dict[str, Any]:
    return {key: operand for key, operand in _mapping(value).items() if key in Tests.TEST_NAMES}


def _written_measures(measured: dict[str, Any]) -> list[str]:
    return [name for name in Measured.MEASURES if name in measured]


def _duration_ms(value: Any) -> int | None:
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None
