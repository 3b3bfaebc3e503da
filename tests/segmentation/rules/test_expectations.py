"""Values that conditions skip are found, each under the definition that skips it."""

from typing import Any

import pytest

from segmentation.rules.expectations import SkippedValue
from segmentation.rules.load import load_rules
from tests.events import message
from tests.segmentation.folding import rules_of
from tests.segmentation.pictures import at, folded

RULES = {
    "version": 1,
    "measures": {"spend": {"event": "Order Completed", "sum": {"of": "properties.total"}}},
    "scores": {"engagement": {"earn": [{"event": "Order Completed", "points": {"of": "properties.total"}}]}},
    "segments": {
        "high_value": {"when": {"measure": "spend", "at_least": 500}},
        "costly": {
            "when": {"event": "Product Viewed", "where": {"properties.price": {"at_least": 9}, "properties.brand": "A"}}
        },
        "collector": {"when": {"event": "*", "distinct": {"of": "properties.products[].sku", "at_least": 3}}},
        "novice": {"when": {"not": {"any": [{"trait": "plan.name", "starts_with": "pro"}]}}},
        "same_again": {
            "when": {
                "sequence": [{"event": "Product Viewed"}, {"event": "Product Added"}],
                "within": "1h",
                "same": "properties.product_id",
            }
        },
    },
}  # fmt: skip


def skipped(name: str, **properties: Any) -> list[SkippedValue]:
    rules = rules_of(RULES)
    return list(rules.expectations.skipped(name, message(0, name, **properties)))


def spend_and_engagement(problem: str) -> list[tuple[str, str, str]]:
    return [(problem, owner, "properties.total") for owner in ("measures.spend", "scores.engagement")]


@pytest.mark.parametrize("total", [0, 1.5, "12.50", "1e3", None])
def test_numbers_and_missing_values_are_not_skipped(total):
    assert skipped("Order Completed", total=total) == []
    assert skipped("Order Completed") == []


@pytest.mark.parametrize(
    ("total", "problem"),
    [
        ("1,299.50", "no_number"),
        ("€5", "no_number"),
        ("", "no_number"),
        (True, "no_number"),
        (1e16, "no_number"),
        ([5], "other_type"),
        ({"amount": 5}, "other_type"),
    ],
)
def test_a_value_that_is_no_number_is_told_for_each_definition(total, problem):
    assert skipped("Order Completed", total=total) == spend_and_engagement(problem)


def test_tests_tell_what_they_need():
    assert skipped("Product Viewed", price="n/a", brand=["A"]) == [
        ("no_number", "segments.costly", "properties.price"),
        ("other_type", "segments.costly", "properties.brand"),
    ]
    assert skipped("$identify", plan="pro") == [("other_type", "segments.novice", "traits.plan.name")]
    assert skipped("$identify", plan={"name": 5}) == [("other_type", "segments.novice", "traits.plan.name")]
    assert skipped("$identify", plan={"name": "free"}) == []
    assert skipped("Product Added", product_id={"id": 5}) == [
        ("other_type", "segments.same_again", "properties.product_id")
    ]


@pytest.mark.parametrize("products", [None, [], [{"sku": "A"}, {"sku": 5}, {}, None, {"sku": None}]])
def test_a_list_is_walked(products):
    assert skipped("Searched", products=products) == []


@pytest.mark.parametrize("products", [{"sku": "A"}, "A", [{"sku": "A"}, {"sku": ["B"]}], ["A"]])
def test_what_is_no_list_or_has_other_elements_is_of_another_type(products):
    assert skipped("Searched", products=products) == [
        ("other_type", "segments.collector", "properties.products[].sku")
    ]


@pytest.mark.parametrize("plan", [None, [], {}])
def test_an_object_that_is_absent_or_empty_is_missing(plan):
    assert skipped("$identify", plan=plan) == []


@pytest.mark.parametrize("plan", ["", 0, False, ["pro"], "pro"])
def test_anything_else_in_the_place_of_an_object_is_of_another_type(plan):
    assert skipped("$identify", plan=plan) == [("other_type", "segments.novice", "traits.plan.name")]


def test_a_key_in_quotes_is_one_key():
    rules = load_rules('version: 1\nsegments: {a: {when: {event: A, where: {properties."utm.source": b}}}}')
    assert rules.expectations.skipped("A", message(0, "A", **{"utm.source": ["b"]})) == [
        ("other_type", "segments.a", 'properties."utm.source"')
    ]
    assert rules.expectations.skipped("A", message(0, "A", utm="b")) == []


def test_an_event_that_no_condition_takes_skips_nothing():
    rules = load_rules("version: 1\nsegments: {a: {when: {event: A, sum: {of: properties.x, at_least: 1}}}}")
    assert rules.expectations.skipped("B", message(0, "B", x="?")) == []


def test_an_outcome_has_the_skipped_values_of_its_event_only():
    fold = folded({"event": "Order Completed", "sum": {"of": "properties.total", "at_least": 500}})
    outcome = fold.apply(at(0, "Order Completed", total="500 EUR"))
    (value,) = outcome.skipped_values
    assert value == SkippedValue("no_number", value.owner, "properties.total")
    assert value.owner.startswith("segments.")
    assert fold.apply(at(1, "Order Completed", total=500)).skipped_values == []
    assert fold.advance(fold.profile.state.profile_time_ms + 1).skipped_values == ()


def test_the_steps_of_a_sequence_and_what_earns_points_have_tests_too():
    rules = rules_of(
        {
            "version": 1,
            "scores": {
                "s": {"earn": [{"event": "A", "where": {"properties.a": {"at_least": 1}}, "points": 1}]}
            },
            "segments": {
                "t": {
                    "when": {
                        "all": [
                            {
                                "sequence": [{"event": "A", "where": {"properties.b": {"starts_with": "x"}}}],
                                "within": "1h",
                                "then_not": {"event": "B", "where": {"properties.c": 5}, "for": "5m"},
                            }
                        ]
                    }
                }
            },
        }
    )
    assert rules.expectations.skipped("A", message(0, "A", a="?", b=5, c=[5])) == [
        ("no_number", "scores.s", "properties.a"),
        ("other_type", "segments.t", "properties.b"),
    ]
    assert rules.expectations.skipped("B", message(0, "B", a="?", b=5, c=[5])) == [
        ("other_type", "segments.t", "properties.c")
    ]
