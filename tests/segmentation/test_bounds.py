"""The bounds of a profile: it is exact up to them; beyond them the oldest events are dropped and counted."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import MAX_PAYLOAD_BYTES, InvalidEvent, parse_event
from segmentation.memories.rows import MAX_EVENTS
from segmentation.profile.state import MAX_STATE_BYTES
from tests.events import START_MS, message
from tests.reference.evaluator import Reference
from tests.reference.strategies import rule_files
from tests.segmentation.folding import Fold, examples, expected_members, few_or_many, rules_of, time_of
from tests.segmentation.pictures import at, folded

X = "properties.x"

# A thousand events


WINDOWED = [
    {"event": "A", "within": "1h", "count": {"at_least": MAX_EVENTS}},
    {"event": "A", "within": "1h", "count": {"less_than": MAX_EVENTS}},
    {"event": "A", "within": "1h", "sum": {"of": X, "at_least": MAX_EVENTS}},
    {"event": "A", "within": "1h", "distinct": {"of": "properties.y", "at_least": MAX_EVENTS}},
    {"event": "A", "within": "1h", "first": {"of": "properties.y", "equals": 0}},
    {"event": "A", "within": "1h", "average": {"of": "properties.y", "at_most": (MAX_EVENTS - 1) / 2}},
    {"event": "A", "within": "1h", "max": {"of": "properties.z", "at_least": 0}},
]


def falling(count: int) -> list[dict[str, Any]]:
    """Returns events one millisecond apart, each with a smaller z than the one before."""
    return [at(number, x=1, y=number, z=-number, message_id=f"m{number}") for number in range(count)]


@pytest.mark.parametrize("when", WINDOWED, ids=lambda when: [*when][2])
@pytest.mark.parametrize("is_shuffled", [False, True], ids=["in order", "shuffled"])
def test_a_thousand_events_are_exact(when, is_shuffled):
    log = falling(MAX_EVENTS)
    content = {"version": 1, "segments": {"s": {"when": when}}}
    reference, t_ms = Reference(content, log), time_of(log[-1])
    if is_shuffled:
        Random(7).shuffle(log)
    fold = Fold(rules_of(content)).apply_all(log)
    assert fold.members() == expected_members(reference, ["s"], t_ms)
    assert fold.profile.state.dropped_events == 0


@pytest.mark.parametrize("when", [WINDOWED[2], WINDOWED[4], WINDOWED[6]], ids=lambda when: [*when][2])
def test_of_one_more_the_oldest_goes_and_is_counted(when):
    fold = folded(when, *falling(MAX_EVENTS))
    outcome = fold.apply(at(MAX_EVENTS, x=1, y=-1, z=-MAX_EVENTS))
    assert outcome.dropped_events == 1
    assert fold.profile.state.dropped_events == 1
    # first and max said so of the event that went
    assert ("s" in fold.members()) == ("sum" in when)


def test_what_is_too_old_to_be_kept_is_the_one_that_goes():
    """A late event that is older than the thousand stored ones is dropped."""
    newest = [at(1000 + number, x=1) for number in range(MAX_EVENTS)]
    fold = folded({"event": "A", "within": "1h", "sum": {"of": X, "more_than": MAX_EVENTS}}, *newest)
    assert fold.apply(at(0, x=1000)).dropped_events == 1
    assert fold.members() == {}


def test_a_count_that_decides_with_few_drops_what_it_does_not_need_uncounted():
    fold = folded(
        {"event": "A", "within": "1h", "count": {"at_least": 2}}, *(at(number) for number in range(2000))
    )
    assert fold.profile.state.dropped_events == 0
    assert len(fold.profile.encode()) < (8 + 2) * 1000 + 300


def test_repeats_count_for_no_event():
    log = [at(number, x=1, message_id=f"m{number}") for number in range(MAX_EVENTS)]
    fold = folded(WINDOWED[2], *log, *log)
    assert fold.profile.state.dropped_events == 0
    assert "s" in fold.members()


# A long life

CONTENT: dict[str, Any] = {
    "version": 1,
    "measures": {
        measure: {"event": "*", "within": "90d", measure: of}
        for measure, of in {
            "count": {},
            "sum": {"of": X},
            "average": {"of": X},
            "min": {"of": X},
            "max": {"of": X},
            "distinct": {"of": "properties.y"},
            "first": {"of": X},
            "last": {"of": X},
        }.items()
    },
    "scores": {
        "ever": {"earn": [{"event": "*", "points": {"of": X, "times": 0.1}}]},
        "week": {"half_life": "7d", "earn": [{"event": ["A", "B"], "points": 1}]},
    },
    "segments": {
        "same": {
            "when": {
                "sequence": [{"event": "A"}, {"event": "B"}],
                "within": "30d",
                "same": "properties.y",
                "then_not": {"event": "C", "for": "1h"},
            }
        },
        "busy": {"when": {"event": "*", "within": "1h", "count": {"at_least": 100}}},
        "warm": {"when": {"score": "week", "at_least": 10}},
    },
}


def life(count: int) -> Fold:
    chance = Random(3)
    fold = Fold(rules_of(CONTENT))
    seconds = 0.0
    for number in range(count):
        seconds += chance.expovariate(1 / 60)
        late = chance.expovariate(1 / 3600) if number % 10 == 0 else 0
        x, y = round(chance.lognormvariate(3, 1), 2), f"product-{chance.randrange(5000)}"
        fold.apply(message(seconds - late, chance.choice("ABCDE"), message_id=f"m{number}", x=x, y=y))
        fold.outcomes.clear()
    return fold


def test_a_life_of_events_costs_no_more_than_its_windows():
    fold = life(2_000)
    assert len(fold.profile.encode()) < 0.25 * MAX_STATE_BYTES
    assert fold.profile.state.dropped_events > 0


@pytest.mark.long
def test_a_hundred_thousand_events_cost_no_more_either():
    assert len(life(100_000).profile.encode()) < 0.25 * MAX_STATE_BYTES


def test_what_has_no_window_takes_constant_space():
    lifetime = {"version": 1, "measures": {}, "scores": {"ever": CONTENT["scores"]["ever"]}}
    for name, measure in CONTENT["measures"].items():
        if name != "distinct":
            lifetime["measures"][name] = {"event": "*", name: measure[name]}
    fold = Fold(rules_of(lifetime))
    for number in range(4_000):
        fold.apply(message(number, "A", message_id=f"m{number}", x=number % 97 * 0.01))
        if number == 1_000:
            size = len(fold.profile.encode())
    assert len(fold.profile.encode()) < size + 200
    assert fold.profile.state.dropped_events == 0
    assert fold.snapshots[-1].measures["count"] == 4_000


# Hostile values

hostile_texts = st.sampled_from(
    ["", "x" * 3000, "é" * 200, "\u0000", "😀" * 100, "1e15", "-1e999", "9" * 400, "null"]
)
hostile_values = st.recursive(
    hostile_texts
    | st.text(max_size=3)
    | st.sampled_from(
        [None, True, False, 0, -0.0, 1e308, -1e308, 5e-324, 2**63, 2**64, -(2**63) - 1, 10**300, 10**15]
    ),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["price", "sku", "id", "city", "", "\u0000", "é"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
hostile_bodies = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["product_id", "price", "category", "coupon", "tags", "products", "plan", "age", "note", "address"],
        hostile_values,
    ),
)
hostile_instants = st.sampled_from(
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]
) | st.builds(lambda second: f"2026-01-01T00:00:{second:02d}Z", st.integers(0, 59))


@few_or_many(40, 1500)
def test_whatever_a_message_carries_nothing_is_raised(count):
    @examples(count)
    @given(
        content=rule_files(),
        log=st.lists(st.tuples(hostile_bodies, hostile_instants, st.integers(0, 5)), max_size=8),
    )
    def check(content, log):
        fold = Fold(rules_of(content), reopened=True)
        for number, (body, timestamp, kind) in enumerate(log):
            one = {
                "type": ["track", "track", "track", "identify", "page", "group"][kind],
                "event": ["Product Viewed", "Product Added", "Order Completed"][kind % 3],
                "messageId": f"m{number}",
                "userId": "u",
                "timestamp": timestamp,
                "properties": body,
                "traits": body,
            }
            if len(json.dumps(one).encode()) > MAX_PAYLOAD_BYTES:
                continue
            fold.apply(one)
            for change in fold.outcomes[-1].changes:
                json.dumps(change.row())
        fold.advance(START_MS + 10**12)
        assert len(fold.profile.encode()) < MAX_STATE_BYTES

    check()


@pytest.mark.parametrize(
    ("element", "messages"),
    [
        pytest.param('"{n}"', 6, id="short"),
        pytest.param('"{n:0240}"', 12, id="long"),
        pytest.param("1{n:0100}", 20, id="huge"),
        pytest.param("{n}", 12, id="integers", marks=pytest.mark.long),
        pytest.param("{n}.5", 12, id="doubles", marks=pytest.mark.long),
    ],
)
def test_lists_as_long_as_a_message_can_be_stay_below_the_bound(element, messages):
    """Each message has the maximal size and only new values, for each form that stores values."""
    same = {"event": "A", "same": "properties.p[]"}
    conditions = {
        "distinct": {"event": "A", "within": "400d", "distinct": {"of": "properties.p[]", "at_least": 900}},
        "named": {"measure": "many", "at_least": 10},
        "same": {
            "sequence": [same, same],
            "within": "30d",
            "same": "properties.q",
            "then_not": {**same, "for": "1d"},
        },
        "sum": {"event": "A", "within": "400d", "sum": {"of": "properties.p[].price", "at_least": 1}},
        "last": {"event": "A", "last": {"of": X, "exists": True}},
    }
    fold = Fold(
        rules_of(
            {
                "version": 1,
                "measures": {"many": {"event": "A", "distinct": {"of": "properties.p[]"}}},
                "segments": {name: {"when": when} for name, when in conditions.items()},
            }
        )
    )
    one = 0
    for number in range(messages):
        head = json.dumps(message(number, "A", message_id=f"m{number}", p="HERE")).encode()
        elements, size = [], len(head)
        while (size := size + len(text := element.format(n=one).encode()) + 1) < MAX_PAYLOAD_BYTES:
            elements.append(text)
            one += 1
        outcome = fold.profile.apply(parse_event(head.replace(b'"HERE"', b"[" + b",".join(elements) + b"]")))
        assert len(fold.profile.encode()) < MAX_STATE_BYTES
        assert not any(change.change == "exited" for change in outcome.changes) or outcome.dropped_events
    assert fold.profile.state.dropped_events > 0


def test_a_message_that_is_refused_is_no_event():
    with pytest.raises(InvalidEvent):
        parse_event(b" " * (MAX_PAYLOAD_BYTES + 1))
