"""Unknown keys: the report names the nearest key that exists, or all of them."""

import pytest

from segmentation.rules.schema.values import ValueTests
from tests.segmentation.rules.reports import on, report


@pytest.mark.parametrize(
    ("text", "path", "key", "meant"),
    [
        ("version: 1\nsegmnts: {}", "segmnts", "segmnts", "segments"),
        ("version: 1\nexport_trait: []", "export_trait", "export_trait", "export_traits"),
        (
            "version: 1\nmeasures: {m: {event: A, witin: 1d, count: {}}}",
            "measures.m.witin",
            "witin",
            "within",
        ),
        ("version: 1\nmeasures: {m: {event: A, cuont: {}}}", "measures.m.cuont", "cuont", "count"),
        ("version: 1\nmeasures: {m: {event: A, sum: {off: a}}}", "measures.m.sum.off", "off", "of"),
        (
            "version: 1\nscores: {s: {halflife: 1d, earn: [{event: A, points: 1}]}}",
            "scores.s.halflife",
            "halflife",
            "half_life",
        ),
        ("version: 1\nscores: {s: {earns: [{event: A, points: 1}]}}", "scores.s.earns", "earns", "earn"),
        (
            "version: 1\nscores: {s: {earn: [{event: A, point: 1}]}}",
            "scores.s.earn[0].point",
            "point",
            "points",
        ),
        (
            "version: 1\nscores: {s: {earn: [{event: A, points: {of: a, time: 2}}]}}",
            "scores.s.earn[0].points.time",
            "time",
            "times",
        ),
        ("version: 1\nsegments: {a: {wen: {event: A}}}", "segments.a.wen", "wen", "when"),
        (
            "version: 1\nsegments: {a: {descripton: x, when: {event: A}}}",
            "segments.a.descripton",
            "descripton",
            "description",
        ),
    ],
)
def test_the_nearest_key_is_named(text: str, path: str, key: str, meant: str) -> None:
    assert report(text) == [f"line 2: {path}: unknown key {key!r}; did you mean {meant!r}?"]


@pytest.mark.parametrize(
    ("condition", "path", "meant"),
    [
        ("{al: [{event: A}]}", "al", "all"),
        ("{anny: [{event: A}]}", "anny", "any"),
        ("{and: [{event: A}]}", "and", "all"),
        ("{or: [{event: A}]}", "or", "any"),
        ("{nott: {event: A}}", "nott", "not"),
        ("{segmnt: viewer}", "segmnt", "segment"),
        ("{evnt: A}", "evnt", "event"),
        ("{mesure: orders, at_least: 1}", "mesure", "measure"),
        ("{sequnce: [{event: A}], within: 1d}", "sequnce", "sequence"),
        ("{trai: plan, exists: true}", "trai", "trait"),
        ("{scores: engagement, at_least: 1}", "scores", "score"),
        ("{event: A, were: {a: 1}}", "were", "where"),
        ("{event: A, withn: 1d}", "withn", "within"),
        ("{event: A, averge: {of: a, at_least: 1}}", "averge", "average"),
        ("{event: A, distnct: {of: a, at_least: 1}}", "distnct", "distinct"),
        ("{event: A, count: {atleast: 1}}", "count.atleast", "at_least"),
        ("{event: A, last: {off: a, equals: 1}}", "last.off", "of"),
        ("{event: A, last: {of: a, equal: 1}}", "last.equal", "equals"),
        ("{event: A, where: {a: {startswith: b}}}", "where.a.startswith", "starts_with"),
        ("{measure: orders, more_then: 1}", "more_then", "more_than"),
        ("{trait: plan, exist: true}", "exist", "exists"),
        ("{score: engagement, lessthan: 1}", "lessthan", "less_than"),
        ("{sequence: [{evnt: A}], within: 1d}", "sequence[0].evnt", "event"),
        ("{sequence: [{event: A}, {event: B, maxgap: 1m}], within: 1d}", "sequence[1].maxgap", "max_gap"),
        ("{sequence: [{event: A}], witihn: 1d}", "witihn", "within"),
        ("{sequence: [{event: A}], within: 1d, sme: a.b}", "sme", "same"),
        ("{sequence: [{event: A}], within: 1d, thennot: {event: B, for: 1m}}", "thennot", "then_not"),
        ("{sequence: [{event: A}], within: 1d, then_not: {event: B, fro: 1m}}", "then_not.fro", "for"),
        ("{sequence: [{event: A}], within: 1d, then_not: {event: B, durng: 1m}}", "then_not.durng", "during"),
        (
            "{sequence: [{event: A}], within: 1d, then_not: [{event: B, for: 1m, wher: {a: 1}}]}",
            "then_not[0].wher",
            "where",
        ),
        ("{all: [{not: {any: [{event: A, cout: {at_least: 2}}]}}]}", "all[0].not.any[0].cout", "count"),
    ],
)
def test_the_nearest_key_is_named_in_conditions(condition: str, path: str, meant: str) -> None:
    key = path.rpartition(".")[2]
    assert on(condition) == [f"{path}: unknown key {key!r}; did you mean {meant!r}?"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("version: 1\nzebra: 1", "export_traits, measures, scores, segments, version"),
        ("version: 1\nsegments: {a: {zebra: 1, when: {event: A}}}", "description, when"),
        ("version: 1\nscores: {s: {earn: [{event: A, points: 1, zebra: 1}]}}", "event, points, where"),
        ("version: 1\nscores: {s: {earn: [{event: A, points: {of: a, zebra: 1}}]}}", "of, times"),
        ("version: 1\nmeasures: {s: {event: A, sum: {of: a, zebra: 1}}}", "of"),
        (
            "version: 1\nsegments: {a: {when: {sequence: [{event: A, zebra: 1}], within: 1d}}}",
            "event, max_gap, same, where",
        ),
        (
            "version: 1\nsegments: {a: {when: {not: {segment: b, zebra: 1}}}, b: {when: {event: A}}}",
            "segment",
        ),
    ],
)
def test_where_no_key_is_near_the_valid_ones_are_listed(text: str, keys: str) -> None:
    (found,) = report(text)
    assert found.endswith(f"zebra: unknown key 'zebra'; expected one of {keys}")


def test_a_key_of_another_form_is_unknown() -> None:
    tests = ", ".join(sorted((*ValueTests.TEST_NAMES, "measure")))
    assert on("{measure: orders, at_least: 1, within: 3d}") == [
        f"within: unknown key 'within'; expected one of {tests}"
    ]


def test_two_keys_that_mean_the_same() -> None:
    assert on("{event: A, withn: 3d, witin: 4d, within: 5d}") == [
        "withn: unknown key 'withn'; did you mean 'within'?",
        "witin: unknown key 'witin'; did you mean 'within'?",
    ]


@pytest.mark.parametrize(
    ("condition", "path", "key", "meant"),
    [
        ("{event: A, count: {min: 3}}", "count.min", "min", "at_least"),
        ("{trait: plan, is: pro}", "is", "is", "equals"),
        ("{event: A, sum: {field: p.x, at_least: 1}}", "sum.field", "field", "of"),
        ("{event: A, avg: {of: p.x, at_least: 1}}", "avg", "avg", "average"),
        ("{steps: [{event: A}], within: 1d}", "steps", "steps", "sequence"),
        ("{sequence: [{event: A}], window: 1d}", "window", "window", "within"),
    ],
)
def test_a_word_of_another_language_names_the_one_of_this(
    condition: str, path: str, key: str, meant: str
) -> None:
    assert on(condition) == [f"{path}: unknown key {key!r}; did you mean {meant!r}?"]


def test_a_guess_that_is_not_sure_causes_no_mistake_of_its_own() -> None:
    """`mox` is not read as `max`, because the 3 would then be a second mistake."""
    assert on("{event: A, count: {at: 3}}") == [
        "count.at: unknown key 'at'; expected one of " + ", ".join(sorted(ValueTests.TEST_NAMES))
    ]
    assert on("{event: A, mox: 3}") == ["mox: unknown key 'mox'; did you mean 'max'?"]


@pytest.mark.parametrize("key", ["wen", "whn", "whem", "hwen", "When"])
def test_a_key_with_one_wrong_letter_hides_no_mistake(key: str) -> None:
    found = report(f"version: 1\nsegments: {{a: {{{key}: {{event: Order *}}}}}}")
    assert len(found) == 2
    assert f"line 2: segments.a.{key}: unknown key {key!r}; did you mean 'when'?" in found
    assert any("segments.a.when.event: found 'Order *'; a name has no wildcards" in line for line in found)


@pytest.mark.parametrize("measure", ["{of: properties.sku}", "{of: properties.sku, at_least: 2}"])
def test_count_takes_no_path(measure: str) -> None:
    found = "unknown key 'of'; count takes no path; distinct: {of: …} counts the different values at a path"
    assert on(f"{{event: A, count: {measure}}}") == [f"count.of: {found}"]
    assert report("version: 1\nmeasures: {m: {event: A, count: {of: properties.sku}}}") == [
        f"line 2: measures.m.count.of: {found}"
    ]


def test_keys_that_stand_beside_tests_elsewhere_are_no_missing_test() -> None:
    for condition in (
        "{event: A, where: {a: {of: b}}}",
        "{trait: plan, of: b}",
        "{event: A, count: {score: b}}",
    ):
        (found,) = on(condition)
        assert "unknown key" in found


def test_a_section_of_another_name_makes_no_reference_wrong() -> None:
    condition = "{all: [{measure: spend, at_least: 1}, {measure: orders, at_least: 1}]}"
    assert report(f"version: 1\nmetrics: {{}}\nsegments: {{a: {{when: {condition}}}}}") == [
        "line 2: metrics: unknown key 'metrics'; expected one of export_traits, measures, scores, segments, version"
    ]
    assert len(report(f"version: 1\nsegments: {{a: {{when: {condition}}}}}")) == 2


def test_a_condition_stands_under_when() -> None:
    assert report("version: 1\nsegments: {a: {event: A, within: 1d}}") == [
        "line 2: segments.a.event: unknown key 'event'; put the condition under when:",
        "line 2: segments.a.within: unknown key 'within'; put the condition under when:",
    ]


def test_an_unknown_key_hides_no_key_that_is_missing_for_sure() -> None:
    assert report("version: 1\nsegments: {a: {describtion: text}}") == [
        "line 2: segments.a.describtion: unknown key 'describtion'; did you mean 'description'?",
        "line 2: segments.a: the key 'when' is missing; add it, such as when: {event: Order Completed}",
    ]
    assert report("version: 1\nmeasures: {m: {event: A, sum: {at_least: 1}}}") == [
        "line 2: measures.m.sum.at_least: a test on a named measure; "
        "put the test into the condition that refers to the measure",
        "line 2: measures.m.sum: the key 'of' is missing; add it, such as of: properties.total",
    ]
    assert on("{sequence: [{event: A}], event: B}") == [
        ": the key 'within' is missing; add it, such as within: 24h",
        ": two forms in one condition: event and sequence; join them under all: or any:",
    ]


def test_in_two_forms_an_unknown_key_is_one_mistake() -> None:
    assert on("{sequence: [{event: A}], event: B, zebra: 1d}") == [
        "zebra: unknown key 'zebra'; expected one of average, count, distinct, event, first, last, max, min, same, "
        "sequence, sum, then_not, where, within",
        ": two forms in one condition: event and sequence; join them under all: or any:",
    ]
