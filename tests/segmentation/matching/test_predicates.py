"""The tests of the language, on values of events, traits and measures."""

import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segmentation.matching.predicates import compile_measure_tests, compile_tests, numeric_operands, tolerance
from segmentation.matching.values import stored_value
from tests.reference.evaluator import passes_on_measure, passes_on_message, passes_on_trait
from tests.reference.strategies import (
    BIG,
    CATEGORIES,
    LONG_NUMBER,
    NO_NUMBERS,
    NUMBERS,
    SCALARS,
    TAGS,
    TOO_BIG,
)
from tests.segmentation.folding import examples

HUGE = 10**30

operands = st.sampled_from([*SCALARS, HUGE, float(HUGE), 10**19, 1e19, 2**64, "new", "é" * 129])
numbers = st.sampled_from([0, 0.5, 1, 1.0, 5, -5, 60, 49.99, 10**15, -(10**15), BIG])
texts = st.sampled_from(["", "sh", "s", "new", "A", "1", "é"])
expressions = st.sampled_from(["^sh", "s$", "(?i)SHOES", "", "^$", r"\d", "^.{3}$", "[é1]", "a|b"])
one_test = st.one_of(
    st.tuples(st.sampled_from(["equals", "not_equals", "contains"]), operands),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(operands, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["at_least", "at_most", "more_than", "less_than"]), numbers),
    st.tuples(st.sampled_from(["starts_with", "ends_with"]), texts),
    st.tuples(st.just("matches"), expressions),
    st.tuples(st.just("exists"), st.booleans()),
)
tests_on_a_value = st.lists(one_test, min_size=1, max_size=3).map(dict)
values = st.sampled_from(
    [
        *SCALARS,
        *NUMBERS,
        *NO_NUMBERS,
        *TOO_BIG,
        *CATEGORIES,
        *TAGS,
        LONG_NUMBER,
        HUGE,
        10**19,
        1e19,
        [HUGE],
        "é" * 129,
    ]
)


@examples(400)
@given(tests=tests_on_a_value, value=values)
def test_values_of_events_pass_as_the_reference_says(tests, value):
    assert compile_tests(tests)(value) == passes_on_message(tests, value)


@examples(400)
@given(tests=tests_on_a_value, value=values)
def test_stored_values_pass_as_the_reference_says(tests, value):
    assert compile_tests(tests)(stored_value(value)) == passes_on_trait(tests, value)


@examples(200)
@given(tests=tests_on_a_value, kind=st.sampled_from(["count", "min", "last"]), value=values)
def test_values_of_measures_pass_as_the_reference_says(tests, kind, value):
    if kind != "last" and (isinstance(value, bool) or not isinstance(value, int | float)):
        value = None
    # no greater value is ever counted, or the least of numbers
    assume(kind == "last" or value is None or abs(value) <= 10**15)
    assert compile_measure_tests(tests, tolerant=False)(stored_value(value)) == passes_on_measure(
        tests, kind, value
    )


numeric_test = st.one_of(
    st.tuples(
        st.sampled_from(["at_least", "at_most", "more_than", "less_than", "equals", "not_equals"]), numbers
    ),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(numbers, min_size=1, max_size=3)),
    st.tuples(st.just("exists"), st.booleans()),
)


@examples(400)
@given(
    tests=st.lists(numeric_test, min_size=1, max_size=2).map(dict),
    value=st.none() | st.floats(-2e15, 2e15),
    data=st.data(),
)
def test_sums_averages_and_scores_pass_as_the_reference_says(tests, value, data):
    known = numeric_operands(tests)
    if value is not None and known:
        near = data.draw(st.sampled_from(known))
        value = near + data.draw(st.sampled_from([-2, -1.1, -0.9, 0, 0.9, 1.1, 2])) * tolerance(near)
    assert compile_measure_tests(tests, tolerant=True)(value) == passes_on_measure(tests, "sum", value)


@pytest.mark.parametrize(
    "tests",
    [{"equals": 0}, {"at_most": 1}, {"contains": ""}, {"starts_with": ""}, {"matches": ""}, {"exists": True}],
)
def test_a_missing_value_fails(tests):
    assert not compile_tests(tests)(None)
    assert not compile_measure_tests(tests, tolerant=False)(None)


@pytest.mark.parametrize("tests", [{"not_equals": 0}, {"not_in": [0]}])
def test_a_missing_value_differs_but_a_measure_without_a_value_does_not(tests):
    assert compile_tests(tests)(None)
    assert not compile_measure_tests(tests, tolerant=False)(None)
    assert not compile_measure_tests(tests, tolerant=True)(None)


def test_none_of_a_measure_passes_exists_false_only_alone():
    assert compile_measure_tests({"exists": False}, tolerant=True)(None)
    assert not compile_measure_tests({"exists": False, "not_equals": 1}, tolerant=True)(None)


@pytest.mark.parametrize(
    ("text", "expression", "matches"),
    [
        ("shoes and shirts", "shirts", True),
        ("shoes", "^oes", False),
        ("SHOES", "shoes", False),
        ("SHOES", "(?i)shoes", True),
        ("a\nb", "a.b", False),
        ("a\nb", "(?s)a.b", True),
        ("٥", r"^\d$", False),
        ("x" * 100_000 + "!", "(x+x+)+y", False),  # takes no time that grows with the square
        (5, "5", False),
        (["shoes"], "shoes", False),
    ],
)
def test_expressions_are_searched_as_re2_does(text, expression, matches):
    assert compile_tests({"matches": expression})(text) == matches


def test_all_tests_of_a_mapping_must_pass():
    passes = compile_tests({"more_than": 5, "less_than": 60, "not_in": [7, 8]})
    assert [value for value in (5, 6, 7, 8, 59, 60, None, "6") if passes(value)] == [6, 59, "6"]


PROGRAM = """
import random
from segmentation.matching.predicates import compile_tests
chance = random.Random(1)
text = "".join(chance.choice("ab") for _ in range(48_000))
for expression in (".*a.{300}z", "a[^x]{1,200}y", "[ab]*a[ab]{900}c"):
    passes = compile_tests({"matches": expression})
    print(passes(text), passes(text + "a" * 901 + "cyz"))
"""


def test_an_expression_that_takes_much_memory_writes_no_log():
    """RE2 itself writes to the file descriptor, so that only another process shows it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["False", "True"] * 3, "")
