"""Compiles the tests of the language (`equals`, `at_least`, `matches`, …) to functions of a value."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from math import inf
from typing import Any

import re2

from segmentation.matching.values import as_number, identity, is_scalar

Predicate = Callable[[Any], bool]

TOLERANCE = 1e-9
_QUIET = re2.Options()
_QUIET.log_errors = False
"""RE2 would write a line to stderr for each event whose text takes more than the memory of an expression. It then
takes a slower way, with the same result."""
_PASSED_BY_MISSING = frozenset({"not_equals", "not_in"})


def compile_tests(tests: Mapping[str, Any]) -> Predicate:
    """Returns a function that tests whether a field of an event, or a trait, passes all tests.

    A missing or null value (None) passes only `not_equals`, `not_in` and `exists: false`.
    """
    return _all_of([_compile_test(name, operand, missing_differs=True) for name, operand in tests.items()])


def compile_expression(expression: str) -> Any:
    """Returns the compiled form of an expression of `matches`, which writes no log.

    Raises:
      re2.error: RE2 refuses the expression.
    """
    return re2.compile(expression, _QUIET)


def compile_measure_tests(tests: Mapping[str, Any], tolerant: bool) -> Predicate:
    """Returns a function that tests whether a measure's value passes all tests; None passes only `exists: false`.

    Args:
      tests: test name to operand.
      tolerant: comparisons allow an error of 1e-9 · max(1, |operand|), for sums, averages and scores.
    """
    compile_one = _compile_tolerant_test if tolerant else _compile_plain_test
    return _all_of([compile_one(name, operand) for name, operand in tests.items()])


def tolerance(operand: float) -> float:
    """Returns the error that comparisons of a sum, an average or a score with this operand allow."""
    return TOLERANCE * max(1.0, abs(operand))


def numeric_operands(tests: Mapping[str, Any]) -> list[float]:
    """Returns the numbers among the operands."""
    flat = [
        item for operand in tests.values() for item in (operand if isinstance(operand, list) else [operand])
    ]
    return [item for item in flat if isinstance(item, (int, float)) and not isinstance(item, bool)]


def _all_of(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda value: all(predicate(value) for predicate in predicates)


def _compile_plain_test(name: str, operand: Any) -> Predicate:
    return _compile_test(name, operand, missing_differs=False)


def _compile_test(name: str, operand: Any, missing_differs: bool) -> Predicate:
    if name == "exists":
        return (lambda value: value is not None) if operand else (lambda value: value is None)
    test = _OF_VALUES[name](operand)
    if name in _PASSED_BY_MISSING:
        return lambda value: missing_differs if value is None else test(value)
    return lambda value: value is not None and test(value)


def _equals(operand: Any) -> Predicate:
    wanted = identity(operand)
    if wanted.__class__ is str:
        return lambda value: bool(value == wanted)
    if operand.__class__ is not bool and wanted.__class__ is not bytes:
        return lambda value: value == operand and value.__class__ is not bool
    return lambda value: is_scalar(value) and identity(value) == wanted


def _not(compile_one: Callable[[Any], Predicate]) -> Callable[[Any], Predicate]:
    def compile_negated(operand: Any) -> Predicate:
        test = compile_one(operand)
        return lambda value: not test(value)

    return compile_negated


def _in(operand: list[Any]) -> Predicate:
    wanted = frozenset(identity(item) for item in operand)
    return lambda value: is_scalar(value) and identity(value) in wanted


def _contains(operand: Any) -> Predicate:
    equals = _equals(operand)

    def test(value: Any) -> bool:
        if value.__class__ is str:
            return operand.__class__ is str and operand in value
        return value.__class__ is list and any(equals(item) for item in value)

    return test


def _matches(operand: str) -> Predicate:
    search = compile_expression(operand).search
    return lambda value: value.__class__ is str and search(value) is not None


def _numeric(compare: Callable[[float, float], bool]) -> Callable[[Any], Predicate]:
    def compile_one(operand: float) -> Predicate:
        def test(value: Any) -> bool:
            number = as_number(value)
            return number is not None and compare(number, operand)

        return test

    return compile_one


_OF_VALUES: dict[str, Callable[[Any], Predicate]] = {
    "equals": _equals,
    "not_equals": _not(_equals),
    "in": _in,
    "not_in": _not(_in),
    "at_least": _numeric(lambda number, operand: number >= operand),
    "at_most": _numeric(lambda number, operand: number <= operand),
    "more_than": _numeric(lambda number, operand: number > operand),
    "less_than": _numeric(lambda number, operand: number < operand),
    "contains": _contains,
    "starts_with": lambda operand: lambda value: value.__class__ is str and value.startswith(operand),
    "ends_with": lambda operand: lambda value: value.__class__ is str and value.endswith(operand),
    "matches": _matches,
}


def _compile_tolerant_test(name: str, operand: Any) -> Predicate:
    if name in ("equals", "not_equals", "in", "not_in"):
        near = sorted(
            (number - tolerance(number), number + tolerance(number))
            for number in numeric_operands({name: operand})
        )
        lows = [low for low, _ in near]
        highs = [-inf, *accumulate((high for _, high in near), max)]  # before the first low, nothing is near
        wanted = not name.startswith("not_")
        return lambda value: value is not None and (value <= highs[bisect_right(lows, value)]) == wanted
    if name == "at_least":
        least = operand - tolerance(operand)
        return lambda value: value is not None and value >= least
    if name == "at_most":
        most = operand + tolerance(operand)
        return lambda value: value is not None and value <= most
    if name == "more_than":
        above = operand + tolerance(operand)
        return lambda value: value is not None and value > above
    if name == "less_than":
        below = operand - tolerance(operand)
        return lambda value: value is not None and value < below
    return _compile_plain_test(name, operand)
