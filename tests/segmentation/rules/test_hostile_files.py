"""Files that nobody would write: whatever stands in one, it loads or is refused with places in it."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segmentation.documents import document as documents
from segmentation.documents import problems
from segmentation.documents.document import read_document
from segmentation.documents.problems import Problem, Problems, format_value, nearest
from segmentation.rules import checks, compiled, structure
from segmentation.rules.load import load_rules
from tests.segmentation.rules.reports import report, segments

ROOT = Path(__file__).parents[3]
TEXTS = [
    path.read_text(encoding="utf-8")
    for path in (ROOT / "definitions" / "segments.yaml", Path(__file__).parent / "broken.yaml")
]
SNIPPETS = [
    *"{}[]:,-?*&!|>'\"%@`#\n \t~<=\\\x00\ud800é0a",
    *("&a ", "*a", "!!str ", "---\n", "? ", "<<: ", "\r", "\ufeff", "1e999", "...", '"\\0"'),
]
KEYS = [
    "event",
    "where",
    "count",
    "all",
    "not",
    "sequence",
    "for",
    "equals",
    "<event>",
    "[key]",
    "<of>",
    "",
    "0",
]
VALUES: list[Any] = [
    *(None, True, 5, -1, 1.5, 10**400, "x", "", "<event>", "[key]", "30s", "*", "$page", "a[]", "(?=a)"),
    *([], {}, [1], {"a": 1}, {"event": "A"}, [{"event": "A"}], {"all": []}, {"<event>": 1}, {"equals": None}),
]


def problems_of(text: str) -> list[Problem]:
    try:
        load_rules(text)
    except Problems as problems:
        return problems.problems
    return []


def refuses_or_loads(text: str) -> None:
    lines = len(text.splitlines()) + 1
    for problem in problems_of(text):
        assert 1 <= problem.line <= lines
        assert str(problem).encode()


@pytest.mark.parametrize("seed", range(10))
def test_texts_with_anything_in_them(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        text = chance.choice(TEXTS)
        for _ in range(chance.choice([1, 2, 4, 8, 20])):
            begin, end = (chance.randrange(len(text)) for _ in range(2))
            middle = chance.choice([chance.choice(SNIPPETS), "", text[end : end + 60]])
            text = text[:begin] + middle + text[begin + chance.randrange(8) :]
        refuses_or_loads(text)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields every mapping and list in a value with each of its keys or indexes."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize("seed", range(10))
def test_values_that_stand_anywhere(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(10):
        value = read_document(TEXTS[0]).value
        for _ in range(chance.choice([1, 2, 4, 8])):
            container, key = chance.choice(list(places(value)))
            change = chance.randrange(3)
            if change == 0 or isinstance(container, list):
                container[key] = copy.deepcopy(chance.choice(VALUES))
            elif change == 1:
                container[chance.choice(KEYS)] = container.pop(key)
            else:
                container[chance.choice(KEYS)] = copy.deepcopy(chance.choice(VALUES))
        refuses_or_loads(json.dumps(value, indent=1))


# Work: of a file with very many mistakes no more is done than the report needs


MOST = 40
MORE = f"there are more mistakes than these {MOST}: correct them first"


@pytest.fixture
def forty_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (documents, problems, structure):
        monkeypatch.setattr(module, "MAX_PROBLEMS", MOST)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Lets a function of a module note its calls."""
    function, calls = getattr(module, name), []

    def noting(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(module, name, noting)
    return calls


@pytest.mark.parametrize(
    "mistake",
    [
        {"event": 5},
        {"evnt": "A"},
        {"nothing": 1},
        {"event": "A", "all": [], "not": 1},
        {"event": "A", "where": {"a..b": 1}},
        {"segment": "unknown"},
        {"event": "A", "where": {"a": {"matches": "("}}},
    ],
    ids=["type", "misspelt", "no form", "two forms", "path", "reference", "expression"],
)
@pytest.mark.usefixtures("forty_at_most")
def test_of_more_mistakes_than_are_reported_no_more_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, mistake: dict[str, Any]
) -> None:
    locations, lines = (
        counted(monkeypatch, structure, "_path_and_type"),
        counted(monkeypatch, checks._Checks, "_problem"),
    )
    work = []
    for count in (100, 300):
        found = report(segments({f"s{number}": mistake for number in range(count)}))
        assert (len(found), found[-1]) == (MOST + 1, MORE)
        work.append(len(locations) + len(lines))
        locations.clear()
        lines.clear()
    assert work[0] == work[1] > 0


@pytest.mark.usefixtures("forty_at_most")
def test_a_mistake_that_aliases_repeat_is_reported_so_often_at_most() -> None:
    many = ", ".join(f"{{evnt: A{number}}}" for number in range(6))
    aliases = "".join(f"  s{number}: *one\n" for number in range(50))
    found = report(f"version: 1\nsegments:\n  a: &one {{when: {{all: [{many}]}}}}\n{aliases}")
    assert (len(found), found[-1]) == (MOST + 1, MORE)


@pytest.mark.parametrize("value", ["!x A", "{? [a] : 1}", "{a: 1, a: 2}"])
@pytest.mark.usefixtures("forty_at_most")
def test_of_more_mistakes_of_yaml_the_first_are_reported(value: str) -> None:
    found = report("version: 1\nsegments:\n" + "".join(f"  s{n}: {value}\n" for n in range(100)))
    assert (len(found), found[-1]) == (MOST + 1, MORE)


@pytest.mark.usefixtures("forty_at_most")
def test_as_many_mistakes_as_are_reported_are_not_more() -> None:
    found = report(segments({f"s{number}": {"event": 5} for number in range(MOST)}))
    assert len(found) == MOST
    assert MORE not in found


def expressions(*patterns: str) -> str:
    return segments(
        {f"s{n}": {"event": "A", "where": {"a": {"matches": text}}} for n, text in enumerate(patterns)}
    )


def test_few_expressions_are_compiled_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_INSTRUCTIONS", 200_000)
    compiled_ones = counted(monkeypatch, checks, "compile_expression")
    found = report(expressions(*(f"\\pL{{1,1000}}{n}" for n in range(50))))
    assert len(compiled_ones) == 3
    assert [line.split(": ", 2)[2].split(";")[0] for line in found] == [
        *["an expression that RE2 refuses: pattern too large - compile failed"] * 3,
        "the expressions up to here have more than 200000 instructions of RE2",
    ]


def test_the_expressions_of_a_file_have_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_INSTRUCTIONS", 3000)
    assert report(expressions(*["x{500}"] * 5)) == []
    compiled_ones = counted(monkeypatch, checks, "compile_expression")
    assert report(expressions(*["x{500}"] * 9)) == [
        "line 1: segments.s5.when.where.a.matches: the expressions up to here have more than 3000 instructions of RE2; "
        "shorten them; repetitions such as {1,100} take the most"
    ]
    assert len(compiled_ones) == 6


def test_an_expression_that_is_too_long_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_ones = counted(monkeypatch, checks, "compile_expression")
    (found,) = report(expressions("x" * 1001))
    assert "at most 1000 are taken" in found
    assert compiled_ones == []


def test_a_long_text_is_cut_before_it_is_written() -> None:
    class Text(str):
        def __repr__(self) -> str:
            raise AssertionError("written whole")

    assert format_value(Text("x" * 1000)) == format_value("x" * 81) == "'" + "x" * 76 + "..."
    assert nearest("segments" * 100, ["segments"]) is None, "too long to be compared"


def test_names_and_conditions_on_every_event_are_not_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = counted(monkeypatch, compiled, "_affected")
    on_all = {f"all{number}": {"event": "*", "where": {"a": number}} for number in range(30)}
    on_one = {f"one{number}": {"event": f"E{number}", "count": {"at_least": 2}} for number in range(40)}
    rules = load_rules(segments({**on_all, **on_one}))
    assert len(joined) == 1, "while loading, only that of every event"
    assert len(rules.affected_by("E7").memories) == 31
    assert rules.affected_by("E7") is rules.affected_by("E7")
    assert len(rules.affected_by("other").memories) == 30
    assert len(joined) == 2
