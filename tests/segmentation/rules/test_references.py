"""References between segments, measures and scores."""

from typing import Any

import pytest

from tests.segmentation.rules.reports import on, report, segments


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{segment: crt}", "segment: unknown segment 'crt'; did you mean 'cart'?"),
        ("{segment: xyz}", "segment: unknown segment 'xyz'; known are cart, viewer"),
        ("{measure: order, at_least: 1}", "measure: unknown measure 'order'; did you mean 'orders'?"),
        (
            "{measure: xyz, at_least: 1}",
            "measure: unknown measure 'xyz'; known are orders, orders_ever, products, skus, spend",
        ),
        ("{score: engagment, at_least: 1}", "score: unknown score 'engagment'; did you mean 'engagement'?"),
        ("{measure: cart, at_least: 1}", "measure: unknown measure 'cart'; known are orders, "),
    ],
)
def test_unknown_references(condition: str, expected: str) -> None:
    (found,) = on(condition)
    assert found.startswith(expected)


def test_many_known_names_are_not_listed() -> None:
    conditions: dict[str, Any] = {f"s{i}": {"event": "A"} for i in range(21)}
    assert report(segments({**conditions, "a": {"segment": "xyz"}})) == [
        "line 1: segments.a.when.segment: unknown segment 'xyz'; expected a name under segments:"
    ]


def test_a_reference_to_what_the_file_has_none_of() -> None:
    assert report(
        "version: 1\nsegments: {a: {when: {measure: m, at_least: 1}}, b: {when: {score: s, exists: true}}}"
    ) == [
        "line 2: segments.a.when.measure: unknown measure 'm'; the file names no measure",
        "line 2: segments.b.when.score: unknown score 's'; the file names no score",
    ]


def cycles(conditions: dict[str, Any]) -> list[str]:
    found = report(segments(conditions))
    assert all(line.endswith("; break the cycle") for line in found), found
    return [line.split("in a cycle: ")[1].removesuffix("; break the cycle") for line in found]


def test_a_segment_that_refers_to_itself() -> None:
    assert report("version: 1\nsegments:\n  a: {when: {event: A}}\n  b: {when: {not: {segment: b}}}") == [
        "line 4: segments.b: segments refer to each other in a cycle: b → b; break the cycle"
    ]


def test_every_cycle_is_reported_once() -> None:
    a_to_b_and_back = {"a": {"all": [{"segment": "b"}, {"segment": "b"}]}, "b": {"any": [{"segment": "a"}]}}
    assert cycles(a_to_b_and_back) == ["a → b → a"]
    assert cycles(
        {
            **a_to_b_and_back,
            "c": {"segment": "a"},
            "d": {"not": {"segment": "e"}},
            "e": {"all": [{"segment": "f"}, {"segment": "e"}]},
            "f": {"segment": "d"},
            "g": {"event": "A"},
        }
    ) == ["a → b → a", "d → e → f → d", "e → e"]


def test_two_cycles_through_one_segment() -> None:
    conditions = {
        "a": {"any": [{"segment": "b"}, {"segment": "c"}]},
        "b": {"segment": "a"},
        "c": {"segment": "a"},
    }
    assert cycles(conditions) == ["a → b → a", "a → c → a"]


def test_a_long_cycle_is_shortened() -> None:
    assert cycles({f"s{i}": {"segment": f"s{(i + 1) % 50}"} for i in range(50)}) == [
        "s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → … → s49 → s0"
    ]


def chain(length: int) -> dict[str, Any]:
    return {f"s{i}": {"segment": f"s{i + 1}"} if i + 1 < length else {"event": "A"} for i in range(length)}


def test_chains_of_references_are_at_most_100_deep() -> None:
    assert report(segments(chain(100))) == []
    assert report(segments(chain(101))) == [
        "line 1: segments.s0: segments refer to segments more than 100 deep; flatten them"
    ]
    assert report(segments(dict(reversed(chain(5000).items())))) == [
        "line 1: segments.s4899: segments refer to segments more than 100 deep; flatten them"
    ]


def test_many_references_to_one_segment_are_no_cycle() -> None:
    layers = {f"s{i}": {"all": [{"segment": f"s{i + 1}"}, {"segment": f"s{i + 1}"}]} for i in range(90)}
    assert report(segments({**layers, "s90": {"event": "A"}})) == []
