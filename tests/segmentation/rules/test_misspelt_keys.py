"""Every key of the language, misspelt in many ways: each causes one mistake, which names the key that was meant."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from segmentation.rules.json_schema import json_schema
from tests.segmentation.rules.reports import report

Place = tuple[str | int, ...]

TESTS = {
    "equals": 1,
    "not_equals": 2,
    "in": [1],
    "not_in": [2],
    "at_least": 1,
    "at_most": 1,
    "more_than": 0,
    "less_than": 2,
    "contains": "a",
    "starts_with": "a",
    "ends_with": "a",
    "matches": "a",
    "exists": True,
}
SELECTION = {"event": "A", "where": {"properties.a": TESTS}}
MEASURED = SELECTION | {"within": "1d"}
OF_MEASURES = ("sum", "average", "min", "max", "distinct", "first", "last")
PATH = {"of": "properties.a"}
SEQUENCE = {
    "sequence": [SELECTION, SELECTION | {"max_gap": "1m", "same": "properties.b"}],
    "within": "1d",
    "same": "properties.a",
    "then_not": [SELECTION | {"for": "1m", "same": "properties.b"}, {"event": "A", "during": "1m"}],
}
FORMS = {
    "of_all": {"all": [{"event": "A"}]},
    "of_any": {"any": [{"event": "A"}]},
    "of_not": {"not": {"event": "A"}},
    "of_segment": {"segment": "of_all"},
    "of_event": {"event": "A"},
    "of_measure": {"measure": "few"} | TESTS,
    "of_sequence": SEQUENCE,
    "of_one_then_not": SEQUENCE | {"then_not": {"event": "A", "for": "1m"}},
    "of_trait": {"trait": "plan"} | TESTS,
    "of_score": {"score": "few"} | TESTS,
    "of_one_test": {"trait": "plan", "exists": True},
    "of_count": MEASURED | {"count": TESTS},
    **{f"of_{measure}": MEASURED | {measure: PATH | TESTS} for measure in OF_MEASURES},
}
FILE: dict[str, Any] = {
    "version": 1,
    "measures": {
        "few": {"event": "A", "count": {}},
        "count": MEASURED | {"description": "text", "count": {}},
        **{measure: MEASURED | {measure: PATH} for measure in OF_MEASURES},
    },
    "scores": {
        "few": {"earn": [{"event": "A", "points": 1}]},
        "many": {
            "description": "text",
            "half_life": "1d",
            "earn": [SELECTION | {"points": 1}, SELECTION | {"points": PATH | {"times": 2}}],
        },
    },
    "segments": {name: {"description": "text", "when": form} for name, form in FORMS.items()},
    "export_traits": ["plan"],
}


def has_names(place: Place) -> bool:
    """Whether the keys of a mapping are names or paths of the author."""
    return place in (("measures",), ("scores",), ("segments",)) or place[-1:] == ("where",)


def mappings(value: Any, place: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yields the mappings of a file whose keys are those of the language, each with its place."""
    if isinstance(value, dict) and not has_names(place):
        yield place, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, deeper in inner:
        yield from mappings(deeper, (*place, key))


def places(key: str) -> list[Place]:
    """Returns the places of a key, one of those that have the same keys."""
    by_keys = {frozenset(mapping): place for place, mapping in mappings(FILE) if key in mapping}
    return list(by_keys.values())


def renamed(place: Place, key: str, other: str) -> str:
    """Returns the part of the file around a place, with another key in place of one there."""
    file = json.loads(json.dumps(FILE))
    for section in ("measures", "scores", "segments"):
        needed = {"few", "of_all", *place[1:2]}
        file[section] = {name: entry for name, entry in file[section].items() if name in needed}
    mapping: Any = file
    for part in place:
        mapping = mapping[part]
    mapping[other] = mapping.pop(key)
    return json.dumps(file)


def misspellings(key: str) -> Iterator[str]:
    for at in range(len(key)):
        if len(key) > 2:
            yield key[:at] + key[at + 1 :]
            yield key[:at] + "x" + key[at + 1 :]
            yield key[:at] + key[at + 1 : at + 2] + key[at] + key[at + 2 :]
        yield key[:at] + key[at] + key[at:]
    yield key.upper()
    yield key.replace("_", "-")
    yield key.replace("_", " ")
    head, *words = key.split("_")
    yield head + "".join(map(str.capitalize, words))


def distance(word: str, other: str) -> int:
    """Returns how many letters are added, left out, replaced or swapped with the next one."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, its in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == its:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def letters(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


ALL_KEYS = sorted({key for _, mapping in mappings(FILE) for key in mapping})


def test_the_file_has_every_key_of_the_language_and_no_mistake() -> None:
    schema = json_schema()
    known = {
        key for model in [schema, *schema["definitions"].values()] for key in model.get("properties", {})
    }
    assert set(ALL_KEYS) == known
    assert report(json.dumps(FILE)) == []


@pytest.mark.parametrize("key", ALL_KEYS)
def test_a_misspelt_key_is_one_mistake_which_names_the_nearest_key(key: str) -> None:
    for place in places(key):
        for misspelt in dict.fromkeys(misspellings(key)):
            if misspelt in ALL_KEYS:
                continue
            found = report(renamed(place, key, misspelt))
            assert len(found) == 1, (place, misspelt, found)
            assert f"unknown key {misspelt!r}; " in found[0], (place, misspelt)
            distances = [distance(letters(misspelt), letters(other)) for other in ALL_KEYS if other != key]
            if distance(letters(misspelt), letters(key)) < min(distances):
                assert found[0].endswith(f"; did you mean {key!r}?"), (place, misspelt, found)


@pytest.mark.parametrize("key", ALL_KEYS)
def test_an_unknown_key_is_one_mistake_whatever_it_stands_for(key: str) -> None:
    for place in places(key):
        for unknown in ("zebra", "", "Zzz zzz"):
            found = report(renamed(place, key, unknown))
            assert len(found) == 1, (place, unknown, found)
            is_form = "no form of condition" in found[0]
            assert is_form or f"unknown key {unknown!r}; expected " in found[0], (place, unknown, found)
