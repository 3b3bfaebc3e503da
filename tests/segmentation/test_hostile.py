"""No valid event makes a profile raise, or leaves a state, a row or a snapshot that cannot be encoded."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import Event, InvalidEvent, parse_event
from segmentation.memories.memory import MemoryKind
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp
from tests.fuzz.harness import NOW_MS, RULES, Harness
from tests.reference.strategies import rule_files
from tests.segmentation.folding import examples, few_or_many

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
Steps = list[bytes | int | None]
"""Messages, instants of timers, and None for a timer at the deadline."""


TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(
    [
        "",
        "a",
        "1",
        "1.0",
        "1e5",
        "-0",
        "1e400",
        "-1e309",
        "Infinity",
        "0x10",
        "१२",
        " 5",
        "true",
        "null",
        "NaN",
    ]
    + ["\ud800", "\udfff\ud800", "a\x00b", "\u2028", "😀" * 65, "x" * 257, "é" * 128, "ab" * 5000]
    + ["9" * 400, "9" * 5000]
)
NUMBERS = (
    st.integers(-3, 3)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        [10**15, -(10**15), 10**15 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 10**4200, 0.1, 1e-300, -0.0]
    )
)
SCALARS = NUMBERS | TEXTS | st.sampled_from([None, True, False])
KEYS = st.sampled_from(["n", "t", "list", "price", "sku", "plan", "a", ""]) | TEXTS


def _nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(children, max_size=4)
        | st.dictionaries(KEYS, children, max_size=4)
        | st.builds(lambda child, count: [child] * count, children, st.integers(0, 40))
        | st.builds(_wrapped, children, st.sampled_from([1, 2, 90, 126, 255, 500]))
    )


def _wrapped(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = {"t": value} if level % 3 == 0 else [value]
    return value


VALUES = st.recursive(SCALARS, _nested, max_leaves=8)
PRODUCTS = VALUES | st.lists(
    st.fixed_dictionaries({}, optional={"n": VALUES, "price": NUMBERS, "sku": VALUES}), max_size=4
)
INSTANTS = (
    st.sampled_from([MIN_MS, MIN_MS + 1, MAX_MS, MAX_MS - 1, MAX_MS - 86_400_000, 0, -1, 999])
    | st.integers(-10_000, 10_000).map(lambda nudge: NOW_MS + nudge)
    | st.integers(MIN_MS, MAX_MS)
)
TIMESTAMPS = INSTANTS.map(format_timestamp) | st.sampled_from(
    ["2026-03-02t12:00:00.9999z", "2026-02-30T00:00:00Z", "", None, 5]
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={"n": VALUES, "list": PRODUCTS, "price": VALUES, "product_id": VALUES, "products": PRODUCTS}
    | {"category": TEXTS, "coupon": VALUES, "tags": VALUES},
)
TRAITS = st.dictionaries(
    st.sampled_from(["t", "other", "plan", "age", "tags", "note", "address"]), VALUES, max_size=3
)
NAMES = ["A", "B", "*", "Product Viewed", "Product Added", "Order Completed"]
GOOD_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["track", "track", "identify", "identify", "page", "screen", "group", "alias"]),
    "messageId": st.sampled_from(["m1", "m2", "m\ud800", "m" * 300]) | st.uuids().map(str),
    "userId": st.just("user-1"),
    "timestamp": TIMESTAMPS,
    "event": st.sampled_from(NAMES),
}
ODD_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "properties": PROPERTIES | st.none(),
    "traits": TRAITS | st.none(),
    "context": st.dictionaries(st.sampled_from(["n", "device"]), VALUES, max_size=2),
    "anonymousId": st.sampled_from(["device", None, "", 5]),
}
MESSAGES = st.fixed_dictionaries(GOOD_FIELDS, optional=ODD_FIELDS) | st.fixed_dictionaries(
    {}, optional={name: strategy | VALUES for name, strategy in (GOOD_FIELDS | ODD_FIELDS).items()}
)


def _digits_of(number: int) -> str:
    """Writes an integer; one that Python would refuse to write as another one of its sign, as long."""
    sign = "-" if number < 0 else ""
    return sign + (str(abs(number)) if abs(number) < 10**4000 else "9" * 4500)


def _text_of(value: Any) -> str:
    """Formats JSON without recursion, because the values nest deeper than Python's stack."""
    parts: list[str] = []
    waiting: list[Any] = [value]  # tuples hold text that is ready
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            parts += one
        elif isinstance(one, dict | list):
            brackets = "{}" if isinstance(one, dict) else "[]"
            inner: list[Any] = [(brackets[0],)]
            for index, item in enumerate(one):
                comma = "," if index else ""
                inner += (
                    [(f"{comma}{json.dumps(item)}:",), one[item]]
                    if isinstance(one, dict)
                    else [(comma,), item]
                )
            waiting += [(brackets[1],), *reversed(inner)]
        elif isinstance(one, int) and not isinstance(one, bool):
            parts.append(_digits_of(one))
        else:
            parts.append(json.dumps(one).replace("Infinity", "1e400"))
    return "".join(parts)


PAYLOADS = MESSAGES.map(lambda message: _text_of(message).encode())
STEPS: st.SearchStrategy[Steps] = st.lists(PAYLOADS | INSTANTS | st.none(), max_size=8)


def taken(harness: Harness, steps: Steps) -> None:
    for step in steps:
        if step is None:
            harness.wake_in_time()
        elif isinstance(step, int):
            harness.wake(step)
        else:
            harness.take(step)
    harness.finish()


@few_or_many(120, 20_000)
def test_any_message_is_refused_or_changes_only_what_can_be_written(count: int) -> None:
    @examples(count)
    @given(steps=STEPS, rules=st.sampled_from(RULES[:2] * 3 + RULES[2:]), is_live=st.booleans())
    def check(steps: Steps, rules: str, is_live: bool) -> None:
        taken(Harness(rules, is_live), steps)

    check()


@few_or_many(30, 5000)
def test_any_rules_take_any_messages(count: int) -> None:
    @examples(count)
    @given(steps=STEPS, content=rule_files(), is_live=st.booleans())
    def check(steps: Steps, content: dict[str, Any], is_live: bool) -> None:
        taken(Harness(json.dumps(content, ensure_ascii=False), is_live), steps)

    check()


@few_or_many(100, 5000)
def test_any_bytes_are_refused_with_a_reason_or_are_an_event(count: int) -> None:
    pieces = st.sampled_from(
        [b'{"', b'"}', b'":', b"\\ud800", b"\\", b"NaN", b"\xff", b"1e400", b"[", b"9" * 20, b"\x00"]
    )
    harness = Harness(RULES[0], is_live=False)

    @examples(count)
    @given(
        st.lists(pieces | PAYLOADS | st.binary(max_size=8), max_size=6).map(b"".join)
        | PAYLOADS.map(lambda text: text[:-2])
    )
    def check(payload: bytes) -> None:
        harness.take(payload)

    check()


def accepted(payloads: list[bytes]) -> list[Event]:
    events = []
    for payload in payloads:
        try:
            events.append(parse_event(payload))
        except InvalidEvent:
            continue
    return list({event.message_id: event for event in events}.values())


def remembered(kind: MemoryKind, events: list[Event]) -> Any:
    """Returns the memory of events, added in this order; None if it ignores all of them."""
    memory, profile_time_ms = None, MIN_MS
    for event in events:
        profile_time_ms = max(profile_time_ms, event.timestamp_ms)
        if (event.name in kind.names or "*" in kind.names) and (
            found := kind.extract(event.name, event.message)
        ) is not None:
            memory = kind.fresh() if memory is None else memory
            kind.add(memory, event, found, profile_time_ms)
    return memory


def check_merges(rules: Rules, events: list[Event], cut: int) -> None:
    profile_time_ms = max((event.timestamp_ms for event in events), default=0)
    for kind in rules.kinds.values():
        one, other = remembered(kind, events[:cut]), remembered(kind, events[cut:])
        if one is None or other is None:
            continue
        merged = kind.merge(one, other, profile_time_ms)
        decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(merged))
        for leaf in rules.leaves_of_kind.get(kind.key, ()):
            assert leaf.of_memory(decoded, profile_time_ms) == leaf.of_memory(merged, profile_time_ms)


@few_or_many(30, 5000)
def test_memories_of_any_messages_merge(count: int) -> None:
    loaded = [load_rules(text) for text in RULES]

    @examples(count)
    @given(st.lists(PAYLOADS, max_size=8), st.integers(0, 8), st.sampled_from(loaded[:1] * 3 + loaded))
    def check(payloads: list[bytes], cut: int, rules: Rules) -> None:
        check_merges(rules, accepted(payloads), cut)

    check()


@few_or_many(500, 10_000)
def test_many_odd_events_of_one_profile(count: int) -> None:
    """Each event is unusual in another way; some are at the first or last instant, some years ago."""
    values = [
        str(10**15),
        "1e400",
        "-0.0",
        "12345678901234567890",
        "[[1]]",
        "null",
        '"a"',
        '"\\ud800"',
        '"1e5"',
    ]
    values.append(f'"{"x" * 300}"')
    harness = Harness(RULES[0], is_live=False)
    for number in range(count):
        odd = [MIN_MS + number, NOW_MS - number * 10**8, MAX_MS - count + number][number % 3]
        at_ms = odd if number % 50 == 0 and number * 4 > count * 3 else NOW_MS + number * 37
        value, other = values[number % 10], values[number * 7 % 10]
        harness.take(
            f'{{"type":"{("track", "identify", "page")[number % 3]}","event":"{"AB"[number % 2]}","userId":"u",'
            f'"messageId":"m{number}","timestamp":"{format_timestamp(at_ms)}","traits":{{"t":{value},"other":{other}}},'
            f'"properties":{{"n":{value},"list":[{number},{other},{{"n":{value}}}]}}}}'.encode()
        )
        if number % 1000 == 0:
            harness.wake_in_time()
    assert harness.accepted == count
