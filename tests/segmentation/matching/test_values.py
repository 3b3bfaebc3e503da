"""JSON values: which are numbers, which are equal, and how a profile stores them."""

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.matching.values import as_number, identity, is_scalar, public_value, stored_value
from tests.reference.evaluator import equal, numeric
from tests.segmentation.folding import examples

HUGE = 2**64
HUGER = 10**700

edges = [2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, HUGE, HUGER, 10**15, 10**15 + 1, 10**19]
integers = st.sampled_from([*edges, *(-edge for edge in edges)]) | st.integers()
scalars = (
    st.booleans()
    | integers
    | integers.filter(lambda number: abs(number) < 2**70).map(float)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["é" * 128, "é" * 129, "x" * 256, "x" * 257, "1", "1e3", "true", ""])
)
json_values = st.recursive(
    scalars | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def of_one_type(one: Any, other: Any) -> bool:
    if one.__class__ is not other.__class__ or one != other:
        return False
    if isinstance(one, list):
        return all(map(of_one_type, one, other))
    return not isinstance(one, dict) or all(of_one_type(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        (-0.5, -0.5),
        ("49.99", 49.99),
        ("-0", 0),
        ("1e3", 1000),
        ("1E+3", 1000),
        ("10e-1", 1),
        ("0.5" + "0" * 400, 0.5),
        (10**15, 10**15),
        (-(10**15), -(10**15)),
        ("1e15", 10**15),
        ("1000000000000000.0", 10**15),
    ],
)
def test_numbers_and_texts_that_are_wholly_one(value, number):
    assert as_number(value) == number


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, None, [], [5], {}, b"5"),
        *("", " 5", "5 ", "5\n", "+5", "05", "00", "-", "5.", ".5", "1e", "e3", "1e3.0", "1_000", "1,000"),
        *("0x10", "Infinity", "-Infinity", "NaN", "inf", "٥", "５"),
        *(10**15 + 1, -(10**15) - 1, 1.1e15, float("inf"), "1e16", "1e999", "-1e999", HUGER, "9" * 5000),
    ],
)
def test_no_numbers(value):
    assert as_number(value) is None


@examples(400)
@given(value=scalars | st.from_regex(r"-?[0-9]{1,17}(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?", fullmatch=True))
def test_numbers_are_those_of_the_reference(value):
    number = as_number(value)
    assert number == numeric(value)
    assert number is None or not isinstance(number, bool)


@examples(400)
@given(one=scalars, other=scalars, are_kept=st.tuples(st.booleans(), st.booleans()))
def test_identities_are_equal_if_and_only_if_scalars_are(one, other, are_kept):
    kept = [
        stored_value(value) if is_kept else value
        for value, is_kept in zip((one, other), are_kept, strict=True)
    ]
    assert (identity(kept[0]) == identity(kept[1])) == equal(one, other)
    assert hash(identity(kept[0])) is not None


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (1, "1", False),
        (0, False, False),
        (0, -0.0, True),
        (True, "true", False),
        (2**53 + 1, float(2**53), False),
        (2**63, float(2**63), True),
        (10**19, 1e19, True),
        (10**22, 1e22, True),
        (10**23, 1e23, False),
        (-(2**63) - 1, float(-(2**63)), False),
        ("é" * 129, "é" * 128 + "e", False),
        (HUGER, HUGER + 1, False),
        (HUGER, -HUGER, False),
    ],
)
def test_edges_of_equality(one, other, are_equal):
    assert (identity(one) == identity(other)) == are_equal
    assert (identity(stored_value(one)) == identity(stored_value(other))) == are_equal


@examples(400)
@given(value=json_values)
def test_a_stored_value_is_small_and_survives_encoding(value):
    kept = stored_value(value)
    encoded = msgspec.msgpack.encode(kept)
    assert len(encoded) <= 2 * 256 + 16
    assert of_one_type(msgspec.msgpack.decode(encoded), kept)
    assert of_one_type(stored_value(value), kept)
    assert is_scalar(kept) == is_scalar(value) or isinstance(kept, bytes)


@pytest.mark.parametrize(
    ("longest", "longer"),
    [
        ("x" * 256, "x" * 257),
        ("é" * 128, "é" * 128 + "e"),
        (["x" * 252], ["x" * 253]),
        ({"k": "x" * 248}, {"k": "x" * 249}),
    ],
)
def test_a_value_longer_than_256_bytes_is_stored_as_its_hash(longest, longer):
    assert stored_value(longest) == longest
    assert stored_value(longer)[:1] == b"h"
    assert len(stored_value(longer)) == 33


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (True, True),
        (1.5, 1.5),
        (["a", {"b": None}], ["a", {"b": None}]),
        (2**64 - 1, 2**64 - 1),
        (HUGE, HUGE),
        (-HUGE, -HUGE),
        (-(2**63) - 1, -(2**63) - 1),
        ("é" * 129, "sha256:" + hashlib.sha256(("é" * 129).encode()).hexdigest()),
    ],
)
def test_snapshots_have_the_value_or_the_hash_of_a_long_one(value, shown):
    assert of_one_type(public_value(stored_value(value)), shown)
    assert json.dumps(public_value(stored_value(value)))


def test_the_order_of_keys_does_not_matter_in_what_is_hashed():
    assert stored_value({"a": "x" * 300, "b": 1}) == stored_value({"b": 1, "a": "x" * 300})
    assert stored_value({"a": "x" * 300, "b": HUGE}) == stored_value({"b": HUGE, "a": "x" * 300})
