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
