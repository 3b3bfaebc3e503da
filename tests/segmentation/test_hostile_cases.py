"""Regression tests: events that once made the parser or a profile fail, or made them slow or large."""

import json
from typing import Any

import msgspec
import pytest

from segmentation.documents.problems import Problems
from segmentation.events import MAX_ID_BYTES, InvalidEvent, parse_event
from segmentation.memories.rows import MAX_ROWS
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile
from segmentation.profile.state import MAX_STATE_BYTES
from tests.events import event, message
from tests.segmentation.folding import NOW_MS, PROFILE_ID, rules_for, rules_of

MANY_IDS = [f"{number:x}" for number in range(4000)]


def folded(rules: Any, *events: Any) -> Profile:
    profile = Profile(PROFILE_ID, rules, DEFAULT_PROFILE_TTL_MS, None, NOW_MS)
    for one in events:
        profile.apply(one)
        assert len(profile.encode()) < MAX_STATE_BYTES
    return profile


def identify(traits: str) -> bytes:
    head = b'{"type":"identify","messageId":"m","userId":"u","timestamp":"2026-03-02T12:00:00Z"'
    return head + b',"traits":' + traits.encode() + b"}"


def nested(levels: int, brackets: str) -> str:
    opening, closing = {"[]": ("[", "]"), "{}": ('{"a":', "}")}[brackets]
    return opening * levels + "0" + closing * levels


def beneath(frames: int, call: Any) -> Any:
    """Calls a function from deeper in the stack."""
    return call() if frames == 0 else beneath(frames - 1, call)


# Nesting


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("beside", ["", '"n":12345678901234567890123,', r'"s":"\ud800",'])
def test_the_deepest_nesting_is_taken_wherever_it_is_parsed(brackets: str, beside: str) -> None:
    traits = "{" + beside + '"deep":' + nested(510, brackets) + "}"
    parsed = parse_event(identify(traits))
    rules = rules_of({"version": 1, "export_traits": ["deep", "deep.a", "deep.a.a"]})
    profile = beneath(200, lambda: folded(rules, parsed))
    assert profile.encode()


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("beside", ["", '"n":12345678901234567890123,', r'"s":"\ud800",'])
@pytest.mark.parametrize("levels", [511, 600, 1000, 1020, 5000])
def test_deeper_nesting_is_refused_wherever_it_is_parsed(brackets: str, beside: str, levels: int) -> None:
    traits = "{" + beside + '"deep":' + nested(levels, brackets) + "}"
    with pytest.raises(InvalidEvent, match="nested") as refused:
        parse_event(identify(traits))
    assert refused.value.reason == "not_json"


def test_brackets_in_texts_nest_nothing() -> None:
    text = json.dumps("[{" * 5000 + '"\\')
    assert parse_event(identify('{"text":' + text + "}")).message["traits"]["text"] == json.loads(text)


def test_many_brackets_side_by_side_nest_nothing() -> None:
    assert parse_event(identify('{"list":[' + ",".join(["[]", "{}"] * 3000) + "]}"))


# Numbers


@pytest.mark.parametrize("measure", ["sum", "average"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_of_whole_numbers_may_pass_64_bits(measure: str, sign: int) -> None:
    rules = rules_for(rich={"event": "A", measure: {"of": "properties.prices[]", "more_than": 0}})
    profile = folded(rules, *(event(at, "A", prices=[sign * 10**15] * 1500) for at in range(20)))
    assert ("rich" in profile.state.members) == (sign > 0)


@pytest.mark.parametrize("operand", [10**400, -(10**400)], ids=["positive", "negative"])
@pytest.mark.parametrize("test", ["equals", "not_equals", "in", "not_in"])
def test_an_operand_greater_than_every_double_is_a_mistake_in_the_rules(test: str, operand: int) -> None:
    when = {"event": "A", "sum": {"of": "properties.n", test: [operand] if "in" in test else operand}}
    with pytest.raises(Problems, match="expected a finite number"):
        rules_for(rich=when)


# Bounds


def test_a_state_that_few_large_events_fill_stays_below_its_bound() -> None:
    rules = rules_for(many={"event": "A", "distinct": {"of": "properties.ids[]", "at_least": MAX_ROWS}})
    long_ids = [one.ljust(250, "x") for one in MANY_IDS[:120]]
    folded(rules, *(event(at, "A", ids=[f"{at}-{one}" for one in long_ids]) for at in range(60)))


LARGE_NUMBERS = [
    float(f"{digits / 10}e{exponent}") for exponent in range(307, 268, -1) for digits in range(10, 100)
]
"""Of five to seven characters in JSON, and more than a hundred bytes as remembered."""


@pytest.mark.parametrize(
    "condition",
    [
        {"sequence": [{"event": "A"}] * 3, "within": "1d", "same": "properties.x[]"},
        {
            "any": [
                {
                    "event": "A",
                    "within": f"{days}d",
                    "distinct": {"of": "properties.x[]", "at_least": MAX_ROWS},
                }
                for days in (1, 2, 3)
            ]
        },
    ],
    ids=["sequence", "distinct"],
)
def test_a_state_of_large_numbers_stays_below_its_bound(condition: dict[str, Any]) -> None:
    """One event may be all it takes: `1e307` is five characters, and remembered as a whole number."""
    folded(rules_for(many=condition), event(0, "A", x=LARGE_NUMBERS))


def growth(rules: Any, first: Any) -> tuple[int, int]:
    """Returns how many bytes the memories take after a first event, and how many were reckoned with."""
    profile = Profile(PROFILE_ID, rules, DEFAULT_PROFILE_TTL_MS, None, NOW_MS)
    before = profile._max_bytes
    profile.apply(first)
    reckoned = profile._max_bytes - before
    return len(msgspec.msgpack.encode(profile.state.memories)), reckoned


@pytest.mark.parametrize(
    "values",
    [
        LARGE_NUMBERS[::10],
        list(range(1000)),
        MANY_IDS[:1000],
        ["x" * 256 + one for one in MANY_IDS[:30]],
        ["\U0001f600" * 50 + one for one in MANY_IDS[:30]],
        [10**600 + number for number in range(15)],
    ],
    ids=["floats", "numbers", "texts", "long texts", "emojis", "long numbers"],
)
@pytest.mark.parametrize(
    "condition",
    [
        {"event": "A", "distinct": {"of": "properties.x[]", "at_least": MAX_ROWS}},
        {"sequence": [{"event": "A"}] * 3, "within": "1d", "same": "properties.x[]"},
        {"event": "A", "sum": {"of": "properties.x[]", "at_least": 1}},
        {"event": "A", "average": {"of": "properties.x[]", "at_least": 1}},
        {"event": "A", "within": "1d", "average": {"of": "properties.x[]", "at_least": 1}},
        {"event": "A", "within": "1d", "max": {"of": "properties.x[]", "at_least": 1}},
        {"event": "A", "within": "1d", "count": {"at_least": 1}},
    ],
    ids=["distinct", "sequence", "sum", "average", "average within", "max", "count"],
)
def test_many_values_take_no_more_than_is_reckoned_with(condition: dict[str, Any], values: list[Any]) -> None:
    body = json.dumps(message(0, "A", x=values), separators=(",", ":")).replace("e+", "e")
    taken, reckoned = growth(rules_for(many=condition), parse_event(body.encode()))
    assert taken <= reckoned


LONGEST_ID = "\U0001f600" * (MAX_ID_BYTES // 4)


@pytest.mark.parametrize(
    "value",
    ["x" * 256, "\U0001f600" * 64, "x" * 257, 2**2039 - 1, 2**2040, [0.1] * 60, [1.0] * 63, [[]] * 85],
    ids=["ascii", "emojis", "long text", "number", "long number", "floats", "whole floats", "lists"],
)
def test_a_value_takes_no_more_than_is_reckoned_with(value: Any) -> None:
    names = [f"trait{number}" for number in range(10)]
    rules = rules_of({"version": 1, "export_traits": names})
    body = message(0, "$identify", message_id=LONGEST_ID, **dict.fromkeys(names, value))
    taken, reckoned = growth(rules, parse_event(json.dumps(body, ensure_ascii=False).encode()))
    assert len(names) * len(LONGEST_ID.encode()) < taken <= reckoned


def test_a_state_of_long_texts_stays_below_its_bound() -> None:
    rules = rules_of(
        {"version": 1, "measures": {"f": {"event": "A", "within": "1d", "first": {"of": "properties.t"}}}}
    )
    letters = [chr(0x10000 + at) for at in range(1000)]
    folded(
        rules, *(event(at, "A", message_id=letter * 128, t=letter * 64) for at, letter in enumerate(letters))
    )


def test_what_the_bound_takes_is_missing_from_what_is_served() -> None:
    measure = {"event": "A", "distinct": {"of": "properties.ids[]"}}
    rules = rules_of({"version": 1, "measures": {"d": measure}})
    profile = Profile(PROFILE_ID, rules, DEFAULT_PROFILE_TTL_MS, None, NOW_MS)
    dropped = 0
    for at in range(60):
        outcome = profile.apply(event(at, "A", ids=[f"{at}-{one}".ljust(250, "x") for one in MANY_IDS[:120]]))
        dropped += outcome.dropped_events
        assert outcome.snapshot is not None
        assert outcome.snapshot.measures == {"d": (at + 1 - dropped) * 120}
    assert dropped > 0


def test_rules_whose_decisions_alone_pass_the_bound_break_nothing() -> None:
    segments = {f"s{number:05}".ljust(64, "x"): {"when": {"event": "A"}} for number in range(10_000)}
    rules = rules_of({"version": 1, "segments": segments})
    profile = Profile(PROFILE_ID, rules, DEFAULT_PROFILE_TTL_MS, None, NOW_MS)
    assert len(profile.apply(event(0, "A")).changes) == 10_000
    profile.apply(event(1, "A"))


# Time taken: each of these took minutes when every element was looked for among all that is remembered


def test_an_event_may_carry_thousands_of_shared_values() -> None:
    steps = [{"event": "A"}, {"event": "A"}]
    rules = rules_for(again={"sequence": steps, "within": "1d", "same": "properties.ids[]"})
    profile = folded(rules, *(event(at, "A", ids=[f"{at % 2}{one}" for one in MANY_IDS]) for at in range(5)))
    assert "again" in profile.state.members


def test_an_event_may_carry_thousands_of_different_values() -> None:
    rules = rules_for(
        many={"event": "A", "within": "1d", "distinct": {"of": "properties.ids[]", "at_least": 9000}}
    )
    profile = folded(rules, *(event(at, "A", ids=[f"{at % 3}{one}" for one in MANY_IDS]) for at in range(12)))
    assert "many" in profile.state.members
