"""Conditions that cannot be decided are refused."""

import pytest

from tests.segmentation.rules.reports import on

# What can be decided


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ("{event: A, within: 1d, count: {at_least: 1500}}", "count.at_least: 1500"),
        ("{event: A, within: 1d, count: {at_least: 1000.5}}", "count.at_least: 1000.5"),
        ("{event: A, within: 1d, count: {more_than: 1000}}", "count.more_than: 1000"),
        ("{event: A, within: 1d, count: {at_most: 1000}}", "count.at_most: 1000"),
        ("{event: A, within: 1d, count: {less_than: 1001}}", "count.less_than: 1001"),
        ("{event: A, within: 1d, count: {equals: 1000}}", "count.equals: 1000"),
        ("{event: A, within: 1d, count: {not_equals: 1e15}}", "count.not_equals: 1000000000000000.0"),
        ("{event: A, within: 1d, count: {in: [1, 2000]}}", "count.in: a list"),
        ("{event: A, within: 1d, distinct: {of: a, at_least: 1001}}", "distinct.at_least: 1001"),
        ("{event: A, distinct: {of: a, at_least: 1001}}", "distinct.at_least: 1001"),
        ("{measure: orders, at_least: 1001}", "at_least: 1001"),
        ("{measure: products, more_than: 1000}", "more_than: 1000"),
    ],
)
def test_what_can_never_be_decided_is_refused(condition: str, path: str) -> None:
    assert on(condition) == [
        f"{path} can never be decided: at most 1000 events are remembered; "
        "at_least: 1000 and less_than: 1000 are the most that can"
    ]


def test_of_lists_ten_thousand_values_can_be_decided() -> None:
    for condition in ("distinct: {{of: 'a[].b', {}}}", "within: 1d, distinct: {{of: 'a[].b', {}}}"):
        assert on(f"{{event: A, {condition.format('at_least: 10000')}}}") == []
        assert on(f"{{event: A, {condition.format('more_than: 10000')}}}") == [
            "distinct.more_than: 10000 can never be decided: at most 10000 values are remembered; "
            "at_least: 10000 and less_than: 10000 are the most that can"
        ]


@pytest.mark.parametrize(
    "condition",
    [
        "{event: A, within: 1d, count: {at_least: 1000}}",
        "{event: A, within: 1d, count: {more_than: 999}}",
        "{event: A, within: 1d, count: {less_than: 1000}}",
        "{event: A, within: 1d, count: {at_most: 999}}",
        "{event: A, within: 1d, count: {equals: 999}}",
        "{event: A, within: 1d, count: {at_least: -1e15}}",
        "{event: A, within: 1d, count: {equals: many}}",
        "{event: A, count: {at_least: 1500}}",
        "{event: A, count: {equals: 1e15}}",
        "{event: A, within: 1d, distinct: {of: a, at_least: 1000}}",
        "{event: A, within: 1d, distinct: {of: 'a[].b', at_least: 1500}}",
        "{event: A, within: 1d, sum: {of: a, at_least: 1500}}",
        "{event: A, within: 1d, last: {of: a, equals: 1500}}",
        "{measure: orders, at_least: 1000}",
        "{measure: orders_ever, at_least: 1500}",
        "{measure: skus, at_least: 1500}",
        "{measure: spend, at_least: 1500}",
    ],
)
def test_what_can_be_decided_loads(condition: str) -> None:
    assert on(condition) == []


@pytest.mark.parametrize("operand", [".inf", "-.inf", ".nan", "1e999", "1" * 400])
def test_numbers_that_are_none_harm_nobody(operand: str) -> None:
    assert on(f"{{event: A, within: 1d, count: {{at_least: {operand}}}}}")
    assert on(f"{{event: A, within: 1d, count: {{equals: {operand}}}}}")


# Sequences


STEP = "sequence: [{event: A}], within: 1h"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            f"{{{STEP}, then_not: {{event: B, for: 1h}}}}",
            "then_not.for: 1h is not shorter than within: 1h; shor",
        ),
        (
            f"{{{STEP}, then_not: [{{event: B, during: 90m}}]}}",
            "then_not[0].during: 90m is not shorter than wit",
        ),
        (
            f"{{{STEP}, then_not: {{event: B, for: 1m, during: 2m}}}}",
            "then_not: both for: and during:; give exact",
        ),
        (f"{{{STEP}, then_not: {{event: B}}}}", "then_not: neither for: nor during:; give exactly one"),
        (
            f"{{{STEP}, same: properties.a, then_not: {{event: B, where: {{properties.b: 1}}, same: properties.c}}}}",
            "then_not: neither for: nor during:; give exactly one",
        ),
        (
            f"{{{STEP}, then_not: [{{event: B, for: 1m}}, {{event: C}}]}}",
            "then_not[1]: neither for: nor during:",
        ),
        (
            f"{{{STEP}, then_not: {{event: B, for: 1m, same: a}}}}",
            "then_not.same: same: in a sequence without sam",
        ),
        (
            f"{{{STEP}, then_not: {{event: B, for: 1m, where: {{a: {{}}}}}}}}",
            "then_not.where.a: no test; add one",
        ),
        (
            "{sequence: [{event: A, same: a}], within: 1h}",
            "sequence[0].same: same: in a sequence without same:; ",
        ),
        (
            "{sequence: [{event: A, max_gap: 1m}], within: 1h}",
            "sequence[0].max_gap: a gap before the first step; ",
        ),
        (
            "{sequence: [{event: A, where: {a: {matches: '(?<=a)b'}}}], within: 1h}",
            "sequence[0].where.a.matches: an expression that RE2 refuses",
        ),
    ],
)
def test_sequences_that_make_no_sense(condition: str, expected: str) -> None:
    (found,) = on(condition)
    assert found.startswith(expected)
