"""Traits: the value of the latest identify call with the key, in any order of arrival."""

from itertools import permutations
from typing import Any

import pytest

from tests.segmentation.pictures import at, folded

PLAN = {"trait": "plan", "exists": True}


def identify(ms: int, message_id: str = "", **traits: Any) -> dict[str, Any]:
    return at(ms, "$identify", message_id=message_id or f"identify {ms}", **traits)


def traits_after(*messages: dict[str, Any], when: Any = PLAN) -> dict[str, Any]:
    return folded(when, *messages).snapshots[-1].traits


def test_in_every_order_of_arrival_the_latest_call_with_the_key_counts():
    calls = [
        identify(0, plan="free"),
        identify(1, plan="pro"),
        identify(2, other=1),
        at(3, "$group", plan="group"),
    ]
    for arrival in permutations(calls):
        assert traits_after(*arrival) == {"plan": "pro"}


def test_null_unsets_also_against_a_call_that_comes_late():
    calls = [identify(0, plan="free"), identify(1, plan=None)]
    for arrival in permutations(calls):
        fold = folded(PLAN, *arrival)
        assert fold.snapshots[-1].traits == {}
        assert fold.members() == {}


def test_ties_go_by_the_bytes_of_the_message_id():
    calls = [identify(0, message_id=i, plan=i) for i in ("m9", "m\uffff", "m10", "m\U00010000")]
    for arrival in permutations(calls):
        assert traits_after(*arrival) == {"plan": "m\U00010000"}


def test_a_path_inside_follows_its_top_level_key():
    """The address without a city is the latest address: there is no city any more."""
    city = {"trait": "address.city", "equals": "Oslo"}
    calls = [
        identify(0, address={"city": "Oslo"}),
        identify(1, address={}),
        identify(2, **{"address.city": "Oslo"}),
    ]
    assert folded(city, *calls[:1]).members() == {"s": None}
    for arrival in permutations(calls):
        assert folded(city, *arrival).members() == {}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, 0),
        (False, False),
        ("", ""),
        ([], []),
        ({"a": [1, None]}, {"a": [1, None]}),
        (2**64 - 1, 2**64 - 1),
    ],
)
def test_any_value_but_null_is_served(value, shown):
    assert traits_after(identify(0, plan=value)) == {"plan": shown}


def test_a_call_that_says_what_is_known_writes_nothing():
    fold = folded(PLAN, identify(0, plan="pro", other=1))
    assert fold.apply(identify(1, plan="pro")).snapshot is None
    assert fold.apply(identify(2, other=2)).snapshot is None
    assert fold.apply(identify(3, plan="free")).snapshot is not None
    assert fold.apply(identify(4, plan=None)).snapshot is not None
    assert fold.apply(identify(5, plan=None)).snapshot is None


@pytest.mark.parametrize(
    "value, equal",
    [(1, True), (0, False), (1, 1.0), (0.0, -0.0), ([1], [True]), ({"a": [1]}, {"a": [1.0]})],
)
def test_a_value_that_is_equal_in_python_and_another_in_json_is_served(value, equal):
    assert value == equal
    for before, after in ((value, equal), (equal, value)):
        fold = folded(PLAN, identify(0, plan=before))
        assert fold.apply(identify(1, plan=before)).snapshot is None
        assert repr(fold.apply(identify(2, plan=after)).snapshot.traits["plan"]) == repr(after)


def test_only_traits_that_the_rules_name_are_kept():
    sections = {"export_traits": ["age"]}
    fold = folded(PLAN, identify(0, plan="pro", age=18, secret="x"), sections=sections)
    assert fold.snapshots[-1].traits == {"plan": "pro", "age": 18}
    assert b"secret" not in fold.profile.encode()
