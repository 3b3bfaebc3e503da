"""Identifies parts of a file of definitions by a hash of their content.

The content of a part is a plain value without names and in a fixed order. Equivalent parts therefore have the same
hash, even if their names differ or their entries are in another order.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from segmentation.rules.schema.conditions import SequenceCondition, StepDefinition, ThenNotDefinition
from segmentation.rules.schema.definitions import EarnDefinition, PointsOf, ScoreDefinition
from segmentation.rules.schema.measures import EventSelection

Content = list[Any]


def digest(content: Any) -> str:
    """Returns 16 hexadecimal digits that identify a content: the first 64 bits of its SHA-256."""
    return hashlib.sha256(_canonical(content)).hexdigest()[:16]


def key(content: Any) -> int:
    """Returns the integer that identifies a content in a profile's state: the first 64 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(_canonical(content)).digest()[:8], "big")


def of_tests(tests: Mapping[str, Any]) -> Content:
    """Returns the content of tests on one value."""
    return sorted([name, _of_operand(name, operand)] for name, operand in tests.items())


def of_selection(selection: EventSelection) -> Content:
    """Returns the content of a selection of events, without its window."""
    names = ["*"] if "*" in selection.event else sorted(set(selection.event))
    return [names, sorted([path, of_tests(tests.tests())] for path, tests in selection.where.items())]


def of_memory(measure: str, path: str | None, selection: EventSelection, window_ms: int) -> Content:
    """Returns the content of a measure over events."""
    return [measure, path, of_selection(selection), window_ms]


def of_sequence(condition: SequenceCondition) -> Content:
    """Returns the content of a sequence."""
    steps = [_of_step(step, condition.same) for step in condition.sequence]
    then_not = [_of_then_not(entry, condition.same) for entry in then_not_in_order(condition)]
    return ["sequence", condition.within, steps, then_not]


def then_not_in_order(condition: SequenceCondition) -> list[ThenNotDefinition]:
    """Returns the entries of `then_not` in the order of their memories, which the order in the file does not change."""
    return sorted(condition.then_not, key=lambda entry: _canonical(_of_then_not(entry, condition.same)))


def of_score(score: ScoreDefinition) -> Content:
    """Returns the content of a score."""
    return ["score", score.half_life, sorted((_of_earn(earn) for earn in score.earn), key=_canonical)]


def _of_step(step: StepDefinition, same: str | None) -> Content:
    return [of_selection(step), step.max_gap, step.same or same]


def _of_then_not(entry: ThenNotDefinition, same: str | None) -> Content:
    return [of_selection(entry), entry.for_, entry.during, entry.same or same]


def _of_earn(earn: EarnDefinition) -> Content:
    points = earn.points
    return [
        of_selection(earn),
        [points.of, _plain_number(points.times)] if isinstance(points, PointsOf) else _plain_number(points),
    ]


def _of_operand(name: str, operand: Any) -> Any:
    if name in ("in", "not_in"):
        distinct = {_canonical(_plain_number(item)): _plain_number(item) for item in operand}
        return [distinct[text] for text in sorted(distinct)]
    return _plain_number(operand)


def _plain_number(value: Any) -> Any:
    """Returns the integer for a float such as `1.0`, so that `1.0` and `1` have the same hash."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _canonical(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return repr(value).encode()
