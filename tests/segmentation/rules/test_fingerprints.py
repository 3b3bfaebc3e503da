"""What changes the version of a segment, or of the whole file, and what does not."""

import pytest

from segmentation.rules.load import load_rules

NAMED = """
measures:
  orders: {event: Order Completed, within: 90d, count: {}}
  orders_by_another_name: {event: Order Completed, within: 2160h, count: {}}
  spend: {event: Order Completed, within: 90d, sum: {of: properties.total}}
  orders_ever: {event: Order Completed, count: {}}
scores:
  engagement: {half_life: 7d, earn: [{event: A, points: 1}, {event: B, points: {of: p.x, times: 2}}]}
  reordered: {half_life: 168h, earn: [{event: [B], points: {times: 2.0, of: p.x}}, {event: A, points: 1.0}]}
  slower: {half_life: 8d, earn: [{event: A, points: 1}, {event: B, points: {of: p.x, times: 2}}]}
  for_ever: {earn: [{event: A, points: 1}, {event: B, points: {of: p.x, times: 2}}]}
  other_points: {half_life: 7d, earn: [{event: A, points: 2}, {event: B, points: {of: p.x, times: 2}}]}
  other_times: {half_life: 7d, earn: [{event: A, points: 1}, {event: B, points: {of: p.x, times: 3}}]}
  other_path: {half_life: 7d, earn: [{event: A, points: 1}, {event: B, points: {of: p.y, times: 2}}]}
  other_where:
    half_life: 7d
    earn: [{event: A, points: 1, where: {a: 1}}, {event: B, points: {of: p.x, times: 2}}]
segments:
  viewer: {when: {event: Product Viewed, within: 1d}}
  viewer_by_reference: {when: {segment: viewer}}
  buyer: {when: {event: Order Completed}}
"""


def version(condition: str, name: str = "cart", description: str = "") -> str:
    """Returns the version of a segment with this condition, in a file with others."""
    described = f"description: {description}, " if description else ""
    rules = load_rules(f"version: 1\n{NAMED}\n  {name}: {{{described}when: {condition}}}\n")
    return rules.segment_by_name[name].version


def rules_version(text: str) -> str:
    return load_rules(f"version: 1\n{text}").version


def test_a_version_is_16_hexadecimal_digits() -> None:
    assert len(version("{event: A}")) == 16
    assert int(version("{event: A}"), 16) > 0


def test_versions_are_the_same_for_ever() -> None:
    """History rows carry them: a change of these digits tells every reader that the rules have changed."""
    assert version("{event: Product Viewed}") == version("{event: Product Viewed}")
    assert version("{event: Product Viewed}") == "ba5e99427655c4b5"
    assert version("{trait: address.geo city, exists: true}") == "650b4c5b4f1f2e30"
    assert version("{event: A, where: {'properties.products[].sku': 1}}") == "90ed3443299fdf98"
    assert version("""{event: A, where: {'properties."a * b - c"': 1}}""") == "299d44996976afb0"


def test_names_and_descriptions_mean_nothing() -> None:
    assert version("{event: A}", "other", "Another text") == version("{event: A}")


SAME = [
    # bare values, lists of one, defaults
    ("{event: A}", "{event: [A]}"),
    ("{event: A}", "{event: [A, A]}"),
    ("{event: A}", "{event: A, count: {at_least: 1}}"),
    ("{event: A}", "{event: A, where: {}}"),
    ('{event: "*"}', '{event: [A, "*"]}'),
    ("{event: A, where: {a: 1}}", "{event: A, where: {a: {equals: 1}}}"),
    ("{event: A, where: {a: yes}}", "{event: A, where: {a: {equals: 'yes'}}}"),
    (
        "{sequence: [{event: A}], within: 1d, then_not: {event: B, for: 1h}}",
        "{sequence: [{event: A}], within: 1d, then_not: [{event: B, for: 1h}]}",
    ),
    # order of keys, of names, of tests, of conditions
    ("{event: A, within: 1d, count: {at_least: 2}}", "{count: {at_least: 2}, event: A, within: 1d}"),
    ("{event: [A, B]}", "{event: [B, A]}"),
    ("{event: A, where: {a: 1, b: 2}}", "{event: A, where: {b: 2, a: 1}}"),
    ("{trait: a, at_least: 1, at_most: 2}", "{at_most: 2, at_least: 1, trait: a}"),
    ("{trait: a, in: [1, b, true]}", "{trait: a, in: [true, b, 1, 1.0]}"),
    ("{all: [{event: A}, {event: B}]}", "{all: [{event: B}, {event: A}]}"),
    ("{any: [{event: A}, {event: B}]}", "{any: [{event: B}, {event: A}, {event: B}]}"),
    (
        "{sequence: [{event: A}], within: 1d, then_not: [{event: B, for: 1h}, {event: C, during: 2h}]}",
        "{sequence: [{event: A}], within: 1d, then_not: [{event: C, during: 2h}, {event: B, for: 1h}]}",
    ),
    # other spellings of one value
    ("{event: A, count: {at_least: 2}}", "{event: A, count: {at_least: 2.0}}"),
    ("{trait: a, equals: 1}", "{trait: a, equals: 1e0}"),
    ("{trait: a, equals: 0}", "{trait: a, equals: -0.0}"),
    ("{event: A, within: 1d}", "{event: A, within: 24h}"),
    ("{event: A, within: 1h30m}", "{event: A, within: 90m}"),
    (
        "{sequence: [{event: A, same: p.x}, {event: B}], within: 1d, same: p.x}",
        "{sequence: [{event: A}, {event: B}], within: 1d, same: p.x}",
    ),
    # quotes that a key does not need
    ("{event: A, where: {p.x: 1}}", """{event: A, where: {'"p"."x"': 1}}"""),
    ("{event: A, where: {'p.x[]': 1}}", """{event: A, where: {'p."x"[]': 1}}"""),
    ("{event: A, sum: {of: p.x y, at_least: 1}}", """{event: A, sum: {of: 'p."x y"', at_least: 1}}"""),
    ("{event: A, last: {of: p.x, equals: 1}}", """{event: A, last: {of: 'p."x"', equals: 1}}"""),
    ("{trait: a.b, exists: true}", """{trait: '"a".b', exists: true}"""),
    (
        "{sequence: [{event: A}], within: 1d, same: p.x}",
        """{sequence: [{event: A, same: 'p."x"'}], within: 1d, same: '"p".x'}""",
    ),
    # by name or in its place
    ("{segment: viewer}", "{event: Product Viewed, within: 1d}"),
    ("{segment: viewer}", "{segment: viewer_by_reference}"),
    ("{not: {segment: viewer}}", "{not: {event: Product Viewed, within: 1d}}"),
    (
        "{all: [{segment: viewer}, {segment: buyer}]}",
        "{all: [{event: Order Completed}, {event: Product Viewed, within: 1d}, {segment: buyer}]}",
    ),
    ("{measure: orders, at_least: 2}", "{event: Order Completed, within: 90d, count: {at_least: 2}}"),
    ("{measure: orders, at_least: 2}", "{measure: orders_by_another_name, at_least: 2}"),
    ("{measure: orders_ever, at_least: 1}", "{event: Order Completed}"),
    (
        "{measure: spend, more_than: 5, less_than: 9}",
        "{event: Order Completed, within: 90d, sum: {of: properties.total, less_than: 9, more_than: 5}}",
    ),
    ("{score: engagement, at_least: 1}", "{score: reordered, at_least: 1}"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_means_the_same_has_one_version(one: str, other: str) -> None:
    assert version(one) == version(other)


SEQUENCE = "sequence: [{event: A}, {event: B, max_gap: 1m}], within: 1d, same: p.x"
DIFFERENT = [
    [
        "{event: A}",
        "{event: B}",
        "{event: [A, B]}",
        '{event: "*"}',
        "{event: a}",
        "{event: A, within: 1d}",
        "{event: A, within: 2d}",
        "{event: A, where: {a: 1}}",
        "{event: A, where: {b: 1}}",
        "{event: A, where: {'a[]': 1}}",
        """{event: A, where: {'"a[]"': 1}}""",
        """{event: A, where: {'"a[]"[]': 1}}""",
        """{event: A, where: {'"a"".b"': 1}}""",
        "{event: A, where: {a.b: 1}}",
        """{event: A, where: {'"a.b"': 1}}""",
        """{event: A, where: {'"a.b".c': 1}}""",
        """{event: A, where: {'"a"."b.c"': 1}}""",
        "{event: A, where: {a: 2}}",
        "{event: A, where: {a: '1'}}",
        "{event: A, where: {a: true}}",
        "{event: A, where: {a: {not_equals: 1}}}",
        "{event: A, where: {a: {in: [1]}}}",
        "{event: A, where: {a: {in: [1, 2]}}}",
        "{event: A, where: {a: {at_least: 1}}}",
        "{event: A, where: {a: {exists: true}}}",
        "{event: A, where: {a: {exists: false}}}",
        "{not: {event: A}}",
        "{all: [{event: A}, {event: B}]}",
        "{any: [{event: A}, {event: B}]}",
        "{not: {all: [{event: A}, {event: B}]}}",
        "{all: [{not: {event: A}}, {event: B}]}",
        "{event: A, count: {at_least: 2}}",
        "{event: A, count: {more_than: 1}}",
        "{event: A, count: {equals: 2}}",
    ],
    [f"{{event: A, {measure}: {{of: p.x, at_least: 1}}}}" for measure in ("sum", "average", "min", "max")]
    + [
        "{event: A, distinct: {of: p.x, at_least: 1}}",
        "{event: A, first: {of: p.x, at_least: 1}}",
        "{event: A, last: {of: p.x, at_least: 1}}",
        "{event: A, sum: {of: p.y, at_least: 1}}",
        "{event: A, sum: {of: 'p.x[]', at_least: 1}}",
        "{event: A, sum: {of: p.x, at_least: 1.5}}",
        "{event: A, sum: {of: p.x, at_least: 1}, within: 1d}",
        "{event: A, sum: {of: p.x, at_least: 1}, within: 1d, where: {a: 1}}",
    ],
    [
        f"{{{SEQUENCE}}}",
        f"{{{SEQUENCE.replace('within: 1d', 'within: 2d')}}}",
        f"{{{SEQUENCE.replace('1m', '2m')}}}",
        f"{{{SEQUENCE.replace(', max_gap: 1m', '')}}}",
        f"{{{SEQUENCE.replace('p.x', 'p.y')}}}",
        f"{{{SEQUENCE.replace(', same: p.x', '')}}}",
        f"{{{SEQUENCE.replace('event: A', 'event: A, same: p.y')}}}",
        f"{{{SEQUENCE.replace('event: A', 'event: C')}}}",
        f"{{{SEQUENCE.replace('event: A', 'event: A, where: {a: 1}')}}}",
        "{sequence: [{event: B}, {event: A, max_gap: 1m}], within: 1d, same: p.x}",
        f"{{{SEQUENCE}, then_not: {{event: C, for: 1h}}}}",
        f"{{{SEQUENCE}, then_not: {{event: C, for: 2h}}}}",
        f"{{{SEQUENCE}, then_not: {{event: C, during: 1h}}}}",
        f"{{{SEQUENCE}, then_not: {{event: D, for: 1h}}}}",
        f"{{{SEQUENCE}, then_not: {{event: C, for: 1h, same: p.y}}}}",
        f"{{{SEQUENCE}, then_not: {{event: C, for: 1h, where: {{a: 1}}}}}}",
        f"{{{SEQUENCE}, then_not: [{{event: C, for: 1h}}, {{event: D, for: 1h}}]}}",
    ],
    [
        "{trait: a, exists: true}",
        "{trait: a.b, exists: true}",
        """{trait: '"a.b"', exists: true}""",
        "{trait: b, exists: true}",
        "{trait: a, contains: x}",
        "{trait: a, starts_with: x}",
        "{trait: a, ends_with: x}",
        "{trait: a, matches: x}",
        "{trait: a, equals: x}",
        "{trait: a, equals: X}",
        "{trait: a, equals: 12345678901234567890123}",
        "{trait: a, equals: 12345678901234567890124}",
    ],
    [
        "{score: engagement, at_least: 1}",
        "{score: engagement, at_least: 2}",
        "{score: engagement, more_than: 1}",
        "{score: slower, at_least: 1}",
        "{score: for_ever, at_least: 1}",
        "{score: other_points, at_least: 1}",
        "{score: other_times, at_least: 1}",
        "{score: other_path, at_least: 1}",
        "{score: other_where, at_least: 1}",
    ],
    [
        "{segment: viewer}",
        "{segment: buyer}",
        "{not: {segment: viewer}}",
        "{measure: orders, at_least: 1}",
        "{measure: orders, at_least: 2}",
        "{measure: spend, at_least: 1}",
        "{measure: orders_ever, at_least: 2}",
    ],
]


@pytest.mark.parametrize("conditions", DIFFERENT)
def test_what_means_something_else_has_another_version(conditions: list[str]) -> None:
    by_version: dict[str, list[str]] = {}
    for condition in conditions:
        by_version.setdefault(version(condition), []).append(condition)
    assert [group for group in by_version.values() if len(group) > 1] == []


def test_a_segment_changes_with_what_it_refers_to() -> None:
    text = "segments: {a: {when: {event: X}}, b: {when: {not: {segment: a}}}, c: {when: {event: C}}}"
    files = (f"version: 1\n{text.replace('X', event)}" for event in "AB")
    before, after = (load_rules(file).segment_by_name for file in files)
    assert before["b"].version != after["b"].version
    assert before["c"].version == after["c"].version


# The whole file


FILE = """
measures: {m: {event: A, count: {}}}
scores: {s: {earn: [{event: A, points: 1}]}}
segments:
  a: {when: {event: A}}
  b: {when: {trait: plan, equals: pro}}
export_traits: [city]
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("when: {event: A}", "description: text, when: {event: [A]}"),
        ("m: {event: A", "m: {description: text, event: A"),
        ("s: {earn", "s: {description: text, earn"),
        ("{trait: plan, equals: pro}", "{equals: pro, trait: plan}"),
        ("[city]", "[city, plan, city]"),
        ("[city]", """['"city"']"""),
        ("\n", "\n\n# a comment\n"),
    ],
)
def test_what_leaves_the_rules_version_alone(old: str, new: str) -> None:
    assert old in FILE
    assert rules_version(FILE.replace(old, new)) == rules_version(FILE)


def test_the_order_of_a_file_leaves_the_rules_version_alone() -> None:
    _, measures, scores, segments, a, b, traits = FILE.splitlines()
    assert rules_version("\n".join([traits, segments, b, a, scores, measures])) == rules_version(FILE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  a: {when", "  c: {when"),
        ("{m: ", "{n: "),
        ("{s: ", "{t: "),
        ("[city]", "[town]"),
        ("[city]", "[]"),
        ("pro", "free"),
        ("m: {event: A", "m: {event: B"),
        ("points: 1", "points: 2"),
        ("  a: {when: {event: A}}\n", ""),
        ("measures: {m: {event: A, count: {}}}", ""),
    ],
)
def test_what_changes_the_rules_version(old: str, new: str) -> None:
    assert old in FILE
    assert rules_version(FILE.replace(old, new)) != rules_version(FILE)
