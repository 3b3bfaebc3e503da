"""Path getters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.matching.paths import (
    PathPart,
    canonical_path,
    compile_getter,
    compile_getter_all,
    join_path,
    parse_path,
    quoted_key,
    walks_lists,
)
from tests.reference.evaluator import keys_of, values_at
from tests.segmentation.folding import examples

MESSAGE = {
    "type": "track",
    "properties": {
        "price": 5,
        "nothing": None,
        "empty": [],
        "tags": ["new", None, ["deep"]],
        "products": [
            {"sku": "A", "sizes": [1, 2]},
            {"sizes": []},
            "C",
            {"sku": None, "sizes": 3},
            {"sku": "E"},
        ],
        "odd key": {"é": 1},
    },
    "context": {"device": {"type": "ios"}},
    "traits": {
        "utm.source": "newsletter",
        "utm": {"source": "nested"},
        "utm[source]": "php",
        "tags[]": ["a", "b"],
        '5" disk': 1,
        '"': 2,
        "": 3,
        "a.b": {"c.d": [{"e[]": 4}, {"e[]": 5}]},
        r"App\Models": 6,
        "price * 2": 7,
        " ": 8,
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", "track"),
        ("properties.price", 5),
        ("context.device.type", "ios"),
        ("properties.odd key.é", 1),
        ("properties.nothing", None),
        ("properties.absent", None),
        ("properties.price.deeper", None),
        ("properties.tags.0", None),
        ("properties.products.sku", None),
        ("absent.price", None),
        ("type.k", None),
        ("context.device", {"type": "ios"}),
        ("traits.utm.source", "nested"),
        ('traits."utm.source"', "newsletter"),
        ('"traits"."utm"."source"', "nested"),
        ('traits."utm[source]"', "php"),
        ('traits."tags[]"', ["a", "b"]),
        ('traits."5"" disk"', 1),
        ('traits.""""', 2),
        ('traits.""', 3),
        ('traits."a.b"."c.d"', [{"e[]": 4}, {"e[]": 5}]),
        (r'traits."App\Models"', 6),
        ('traits."price * 2"', 7),
        ('traits." "', 8),
        ('"traits.utm.source"', None),
    ],
)
def test_a_path_without_brackets_gives_one_value_or_none(path, value):
    assert compile_getter(path)(MESSAGE) == value
    assert compile_getter_all(path)(MESSAGE) == [value]


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("properties.tags[]", ["new", None, ["deep"]]),
        ("properties.products[].sku", ["A", None, None, None, "E"]),
        ("properties.products[].sku.deeper", [None] * 5),
        ("properties.products[].sizes[]", [1, 2, None, None, None, None]),
        ("properties.tags[].x", [None, None, None]),
        ("properties.tags[].x[]", [None, None, None]),
        ('properties."tags"[]', ["new", None, ["deep"]]),
        ('traits."tags[]"[]', ["a", "b"]),
        ('traits."a.b"."c.d"[]."e[]"', [4, 5]),
        ('traits."utm.source"[]', [None]),
    ],
)
def test_a_path_with_brackets_gives_a_value_for_each_element(path, values):
    """An element without the rest of the path, such as a nested list, gives a missing value."""
    assert compile_getter_all(path)(MESSAGE) == values


@pytest.mark.parametrize(
    "path",
    ["properties.empty[]", "properties.price[]", "properties.absent[].sku", "type[]", "properties[].price"],
)
def test_a_path_without_an_element_is_missing(path):
    assert compile_getter_all(path)(MESSAGE) == [None]


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a]",
        "a[0]",
        "[]",
        "a[][]",
        "a[]b",
        '"',
        '"a',
        'a"',
        'a."b',
        '"a"b',
        '""a',
    ]
    + ['"a""', 'a"b"', '"a".', '"a"."', '"a"[]b', '"a"[', '"""'],
)
def test_what_is_no_path(path):
    with pytest.raises(ValueError, match="no path"):
        parse_path(path)


@pytest.mark.parametrize(
    ("path", "shortest"),
    [
        ("properties.price", "properties.price"),
        ('"properties"."price"', "properties.price"),
        ('properties."tags"[].x', "properties.tags[].x"),
        ('properties."utm.source"', 'properties."utm.source"'),
        ('"properties"."tags[]"[]', 'properties."tags[]"[]'),
        ('a."]"', 'a."]"'),
        ('a."b""c"', 'a."b""c"'),
        ('a.""', 'a.""'),
        ('a." b - c/d*2 "', "a. b - c/d*2 "),
    ],
)
def test_equal_paths_have_one_text(path, shortest):
    assert canonical_path(path) == join_path(parse_path(path)) == shortest
    assert parse_path(shortest) == parse_path(path)


@pytest.mark.parametrize(
    ("path", "walks"),
    [("a.b", False), ("a[].b", True), ("a.b[]", True), ('a."b[]"', False), ('a."b[]"[]', True)],
)
def test_brackets_in_quotes_walk_no_list(path, walks):
    assert walks_lists(path) == walks


ODD_KEYS = ["a.b", "a[]", '"', '""a"', "", "b."]
keys = st.sampled_from(["a", "a", "b", "b", "c", *ODD_KEYS])
values = st.recursive(
    st.none() | st.integers(0, 2) | st.text(max_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=20,
)


def part(key: str, in_quotes: bool, brackets: str) -> str:
    return (quoted_key(key) if in_quotes or key in ODD_KEYS else key) + brackets


parts = st.builds(part, keys, st.booleans(), st.sampled_from(["", "", "[]"]))
paths = st.lists(parts, min_size=1, max_size=4).map(".".join)


@examples(500)
@given(message=st.dictionaries(keys, values), path=paths)
def test_path_getters_give_the_values_of_the_reference(message, path):
    found = compile_getter_all(path)(message)
    assert found == values_at(message, path)
    if not walks_lists(path):
        assert compile_getter(path)(message) == found[0]


@examples(500)
@given(
    keys=st.lists(st.text(), min_size=1, max_size=4), walks=st.lists(st.booleans(), min_size=4, max_size=4)
)
def test_every_key_can_be_named(keys, walks):
    parts = [PathPart(key, walks_list) for key, walks_list in zip(keys, walks, strict=False)]
    path = join_path(parts)
    in_quotes = ".".join(quoted_key(key) + "[]" * walks_list for key, walks_list in parts)
    assert parse_path(path) == parse_path(in_quotes) == parts
    assert list(keys_of(in_quotes)) == parts
