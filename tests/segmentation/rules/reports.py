"""Definitions, and the reports on their mistakes, for the tests of loading."""

import json
from typing import Any

from segmentation.documents.problems import Problems
from segmentation.rules.load import load_rules

DEFINITIONS = """
  viewer: {when: {event: Product Viewed}}
measures:
  orders: {event: Order Completed, within: 90d, count: {}}
  orders_ever: {event: Order Completed, count: {}}
  products: {event: Product Viewed, within: 90d, distinct: {of: properties.product_id}}
  skus: {event: Order Completed, within: 90d, distinct: {of: "properties.products[].sku"}}
  spend: {event: Order Completed, within: 90d, sum: {of: properties.total}}
scores:
  engagement: {earn: [{event: Product Viewed, points: 1}]}
"""


def report(text: str) -> list[str]:
    """Returns the lines of the report on a file; none if it loads."""
    try:
        load_rules(text)
    except Problems as problems:
        return str(problems).splitlines()
    return []


def with_condition(condition: str) -> str:
    """Returns a file with a segment whose condition is on line 4."""
    return f"version: 1\nsegments:\n  cart:\n    when: {condition}{DEFINITIONS}"


def on(condition: str) -> list[str]:
    """Returns the lines of the report on a condition, each with its path within the condition."""
    found = report(with_condition(condition))
    prefix = "line 4: segments.cart.when"
    assert all(line.startswith(prefix) for line in found), found
    return [line.removeprefix(prefix).removeprefix(".") for line in found]


def segments(conditions: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "segments": {name: {"when": when} for name, when in conditions.items()}})
