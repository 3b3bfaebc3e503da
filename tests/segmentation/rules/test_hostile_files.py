"""Files that nobody would write: whatever stands in one, it loads or is refused with places in it."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segmentation.documents.document import read_document
from segmentation.documents.problems import Problem, Problems
from segmentation.rules.load import load_rules

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
