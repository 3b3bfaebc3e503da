"""Path getters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.matching.paths import compile_getter, compile_getter_all
from tests.reference.evaluator import values_at
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


keys = st.sampled_from(["a", "b", "c"])
values = st.recursive(
    st.none() | st.integers(0, 2) | st.text(max_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=20,
)
paths = st.lists(st.tuples(keys, st.sampled_from(["", "", "[]"])).map("".join), min_size=1, max_size=4).map(
    ".".join
)


@examples(500)
@given(message=st.dictionaries(keys, values), path=paths)
def test_path_getters_give_the_values_of_the_reference(message, path):
    found = compile_getter_all(path)(message)
    assert found == values_at(message, path)
    if "[]" not in path:
        assert compile_getter(path)(message) == found[0]
