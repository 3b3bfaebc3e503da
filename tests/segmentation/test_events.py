"""Which messages become events, and the reasons for which the others are rejected."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import (
    MAX_AHEAD_MS,
    MAX_PAYLOAD_BYTES,
    Event,
    EventLimits,
    InvalidEvent,
    parse_event,
    parse_event_and_message,
)
from segmentation.identifiers import parse_ignored_ids
from segmentation.timestamps import format_timestamp
from tests.events import START_MS
from tests.segmentation.folding import examples

VALID: dict[str, Any] = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "m1",
    "userId": "u1",
    "anonymousId": "a1",
    "timestamp": "2026-03-02T12:00:00.000Z",
    "properties": {"price": 5},
    "context": {"device": {"type": "ios"}},
}


def altered(**fields: Any) -> dict[str, Any]:
    return VALID | fields


def without(*fields: str) -> dict[str, Any]:
    return {key: value for key, value in VALID.items() if key not in fields}


def parsed(message: Any, publish_time_ms: int | None = None) -> Event:
    return parse_event(json.dumps(message).encode(), publish_time_ms)


def refusal(payload: bytes, publish_time_ms: int | None = None) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refused:
        parse_event(payload, publish_time_ms)
    return refused.value


def reason(message: Any) -> str:
    return refusal(json.dumps(message).encode()).reason


def carrying(value: str) -> bytes:
    """Returns the valid message as JSON, with the given JSON as the value of a property."""
    return json.dumps(altered(properties="HERE")).replace('"HERE"', '{"v":' + value + "}").encode()


def carried(value: str) -> Any:
    return parse_event(carrying(value)).message["properties"]["v"]


def test_an_accepted_message():
    payload = json.dumps(VALID).encode()
    event = parse_event(payload)
    assert event == Event("u1", "m1", "Product Viewed", START_MS, payload, True, event.content_digest)
    assert event.message == VALID


@pytest.mark.parametrize("kind", ["identify", "page", "screen", "group", "alias"])
def test_a_call_other_than_track_is_named_by_its_type(kind):
    assert parsed(altered(type=kind)).name == "$" + kind
    assert parsed(altered(type=kind, event="$page")).name == "$" + kind
    assert parsed(altered(type=kind, event=5)).name == "$" + kind


@pytest.mark.parametrize(
    ("ids", "profile_id"),
    [
        ({"userId": "u", "anonymousId": "a"}, "u"),
        ({"userId": None, "anonymousId": "a"}, "a"),
        ({"userId": "", "anonymousId": "a"}, "a"),
        ({"userId": "u", "anonymousId": ""}, "u"),
        ({"userId": " a", "anonymousId": "a"}, " a"),
        ({"userId": "U\u0000é😀"}, "U\u0000é😀"),
    ],
)
def test_the_profile_is_the_user_s_else_the_device_s(ids, profile_id):
    assert parsed(without("userId", "anonymousId") | ids).profile_id == profile_id


@pytest.mark.parametrize(
    "placeholder",
    [
        *(
            "undefined",
            "null",
            "None",
            "NIL",
            "NaN",
            "True",
            "false",
            "0",
            "-1",
            "guest",
            "Anonymous",
            "unknown",
        ),
        *(
            "N/A",
            "[object Object]",
            "[]",
            "{}",
            "Not_Authenticated",
            "00000000-0000-0000-0000-000000000000",
            " ",
            "\t\n",
            "\u2028",
        ),
    ],
)
def test_a_placeholder_is_no_id(placeholder):
    event, _, ignored_ids = parse_event_and_message(json.dumps(altered(userId=placeholder)).encode())
    assert (event.profile_id, event.has_user_id, ignored_ids) == ("a1", False, 1)
    refused = refusal(json.dumps(altered(userId=placeholder, anonymousId=None)).encode())
    assert refused.reason == "missing_id"
    assert f"userId {json.dumps(placeholder)} stands for no id" in str(refused)
    both = refusal(json.dumps(altered(userId=placeholder, anonymousId=placeholder)).encode())
    assert str(both).count(json.dumps(placeholder)) == 2


@pytest.mark.parametrize("user_id", ["undefined1", "00", "nobody", "guest 7", "-", "[0]", "{a}", "nulla"])
def test_an_id_that_resembles_a_placeholder_is_an_id(user_id):
    event, _, ignored_ids = parse_event_and_message(json.dumps(altered(userId=user_id)).encode())
    assert (event.profile_id, event.has_user_id, ignored_ids) == (user_id, True, 0)


def test_a_list_of_its_own_replaces_the_default_one():
    limits = EventLimits(parse_ignored_ids("# ours\n\nShopper\n"))
    for user_id, profile_id in {"shopper": "a1", "undefined": "undefined", " ": "a1"}.items():
        assert (
            parse_event(json.dumps(altered(userId=user_id)).encode(), None, limits).profile_id == profile_id
        )


def test_a_live_event_older_than_the_limit_is_refused():
    limits = EventLimits(oldest_age_ms=400 * 86_400_000)
    just_in_time = altered(timestamp=format_timestamp(START_MS - 400 * 86_400_000))
    too_old = altered(timestamp=format_timestamp(START_MS - 400 * 86_400_000 - 1))
    assert parse_event(json.dumps(just_in_time).encode(), START_MS, limits)
    with pytest.raises(
        InvalidEvent, match="timestamp: more than 400 days before the publish time"
    ) as refused:
        parse_event(json.dumps(too_old).encode(), START_MS, limits)
    assert refused.value.reason == "too_old"
    assert parse_event(json.dumps(too_old).encode(), None, limits), "a log may go back for years"


@pytest.mark.parametrize("traits", [None, []])
def test_an_identify_without_traits_takes_those_of_its_context(traits):
    message = altered(type="identify", context={"traits": {"plan": "pro"}})
    for identify in (message, message | {"traits": traits}):
        event, content, _ = parse_event_and_message(json.dumps(identify).encode())
        assert content["traits"] == {"plan": "pro"}
        assert event.message == content
    assert parsed(message | {"traits": {}}).message["traits"] == {}
    assert "traits" not in parsed(message | {"type": "page"}).message
    assert "traits" not in parsed(message | {"context": {"traits": "pro"}}).message


def test_content_is_what_a_delivery_again_does_not_change():
    digest = parsed(VALID).content_digest
    again = altered(
        timestamp="2026-03-02T12:00:01Z",
        context={"ip": "::1"},
        receivedAt="2026-03-02T12:00:02Z",
        sentAt="soon",
    )
    assert parsed(again).content_digest == digest
    assert parsed(altered(properties={"price": 6})).content_digest != digest
    assert parsed(altered(event="Order Completed")).content_digest != digest
    assert parsed(altered(traits={"plan": "pro"})).content_digest != digest
    one_way, other_way = altered(properties={"a": 1, "b": 2**70}), altered(properties={"b": 2**70, "a": 1})
    assert parsed(one_way).content_digest == parsed(other_way).content_digest


@pytest.mark.parametrize("field", ["properties", "traits", "context"])
def test_null_and_the_empty_list_count_as_absent(field):
    assert parsed(altered(**{field: None})).message[field] is None
    assert parsed(altered(**{field: []})).name == "Product Viewed"
    assert parsed(without(field)).name == "Product Viewed"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (without("type"), "bad_type"),
        (altered(type=None), "bad_type"),
        (altered(type="Track"), "bad_type"),
        (altered(type="delete"), "bad_type"),
        (altered(type=["track"]), "bad_type"),
        (altered(type={"track": 1}), "bad_type"),
        (without("messageId"), "missing_message_id"),
        (altered(messageId=None), "missing_message_id"),
        (altered(messageId=""), "missing_message_id"),
        (altered(messageId=7), "bad_field"),
        (altered(messageId=0), "bad_field"),
        (altered(messageId=False), "bad_field"),
        (altered(messageId=["m"]), "bad_field"),
        (without("userId", "anonymousId"), "missing_id"),
        (altered(userId="", anonymousId=None), "missing_id"),
        (altered(userId=7), "bad_field"),
        (altered(anonymousId={}), "bad_field"),
        (altered(anonymousId=0), "bad_field"),
        *((altered(**{field: text}), "bad_field")
          for field in ("messageId", "userId", "anonymousId")
          for text in ("x" * 513, "é" * 257, "\U0001f600" * 129, " " * 513)),
        (altered(type="group", groupId="x" * 513), "bad_field"),
        (altered(type="alias", previousId="é" * 257), "bad_field"),
        (without("event"), "missing_event"),
        (altered(event=""), "missing_event"),
        (altered(event=None), "missing_event"),
        (altered(event=5), "bad_field"),
        (altered(event="$page"), "bad_field"),
        (altered(event="$"), "bad_field"),
        (without("timestamp"), "bad_timestamp"),
        (altered(timestamp=None), "bad_timestamp"),
        (altered(timestamp=1_772_452_800_000), "bad_timestamp"),
        (altered(timestamp="2026-03-02"), "bad_timestamp"),
        (altered(timestamp="2026-02-30T12:00:00Z"), "bad_timestamp"),
        (altered(timestamp="0001-01-01T00:00:00+00:01"), "bad_timestamp"),
        *((altered(**{field: value}), "bad_field")
          for field in ("properties", "traits", "context") for value in ([0], "", 0, False, "{}")),
        ([], "not_an_object"),
        ([VALID], "not_an_object"),
        ("track", "not_an_object"),
        (None, "not_an_object"),
        (5, "not_an_object"),
        ({}, "bad_type"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_refused_for_its_reason(message, expected):
    assert reason(message) == expected


@pytest.mark.parametrize("longest", ["x" * 512, "é" * 256, "\U0001f600" * 128])
@pytest.mark.parametrize("field", ["messageId", "userId", "anonymousId", "groupId", "previousId"])
def test_an_id_may_have_512_bytes(field, longest):
    for kind in ("track", "group", "alias"):
        assert parsed(altered(type=kind, **{field: longest})).message[field] == longest


def test_a_long_id_is_refused_with_its_length():
    with pytest.raises(InvalidEvent) as refused:
        parsed(altered(userId="é" * 300))
    assert str(refused.value) == "userId: 600 bytes in UTF-8: at most 512 are allowed"


def test_the_ids_of_a_group_and_of_an_alias_may_be_anything_else():
    for other in (None, "", 5, ["g"], {}):
        assert parsed(altered(type="group", groupId=other)).name == "$group"
        assert parsed(altered(type="alias", previousId=other)).name == "$alias"
    assert parsed(altered(groupId="x" * 600)).name == "Product Viewed", "no other call has such an id"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"{'type': 'track'}",
        b'{"type": "track",}',
        b'{"type": track}',
        b'{"type": "tra\nck"}',
        b"{type: 1}",
        b"\xef\xbb\xbf{}",
        '{"v": 1}'.encode("utf-16"),
        b'{"v": "\xff"}',
        b'{"v": "\xed\xa0\x80"}',
        b'{"v": "\xc0\xaf"}',
        b'{"v": "\\x41"}',
        b'{"v": "\\ud80"}',
        b'{"v": 01}',
        b'{"v": +1}',
        b'{"v": .5}',
        b'{"v": 5.}',
        b'{"v": 0x10}',
        b'{"v": NaN}',
        b'{"v": Infinity}',
        b'{"v": -Infinity}',
        b'{"v": 12345678901234567890, "w": NaN}',
        b'{"v": 1} {"v": 2}',
        b"\x00",
    ],
)
def test_what_is_no_json_is_refused(payload):
    assert refusal(payload).reason == "not_json"


def test_the_size_that_is_too_large():
    longest = MAX_PAYLOAD_BYTES - len(carrying('""'))
    assert carried('"' + "x" * longest + '"') == "x" * longest
    assert refusal(carrying('"' + "x" * (longest + 1) + '"')).reason == "too_large"
    assert refusal(b"\xff" * (MAX_PAYLOAD_BYTES + 1)).reason == "too_large"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9007199254740993", 2**53 + 1),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 2**63),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1" * 4000, int("1" * 4000)),
        ("1e308", 1e308),
        ("-1e308", -1e308),
        ("1e400", float("inf")),
        ("-1e400", float("-inf")),
        ("1" * 5000, float("inf")),
        ("1e-400", 0.0),
        ("0.1234567890123456789", 0.12345678901234568),
        ("1.0", 1.0),
        ("-0", 0),
    ],
)
def test_numbers_are_exact_where_they_are_whole_and_doubles_otherwise(text, value):
    number = carried(text)
    assert number == value
    assert number.__class__ is value.__class__


def test_a_long_number_beside_changes_no_other_value():
    message = '{"i": 12345678901234567890123, "f": 1.0, "b": true, "n": null, "t": "é", "e": 1e3}'
    value = carried(message)
    assert value == {"i": 12345678901234567890123, "f": 1.0, "b": True, "n": None, "t": "é", "e": 1000.0}
    assert value["b"] is True
    assert isinstance(value["e"], float)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud800"', "\\ud800"),
        (r'"\uDFFFx"', "\\udfffx"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ude00\ud83d"', "\\ude00\\ud83d"),
        (r'"\ud83d\ud83d\ude00"', "\\ud83d😀"),
        (r'"\\ud800"', "\\ud800"),
        (r'"\\\ud800"', "\\\\ud800"),
        (r'{"\ud800": "\ud800"}', {"\\ud800": "\\ud800"}),
        (r'"\u0000"', "\u0000"),
    ],
)
def test_a_lone_surrogate_becomes_the_text_of_its_escape(text, value):
    assert carried(text) == value
    assert json.dumps(carried(text), ensure_ascii=False).encode()


def test_a_lone_surrogate_in_an_id():
    payload = json.dumps(VALID).replace('"m1"', r'"\ud800"').replace('"u1"', r'"\udfff"').encode()
    event = parse_event(payload)
    assert (event.message_id, event.profile_id) == ("\\ud800", "\\udfff")


@pytest.mark.parametrize("beside", ["", ', "n": 12345678901234567890123', r', "s": "\ud800"'])
def test_of_a_key_that_stands_twice_the_last_counts(beside):
    payload = json.dumps(VALID)[:-1] + ', "messageId": "m2", "properties": {"v": 1, "v": 2}' + beside + "}"
    event = parse_event(payload.encode())
    assert event.message_id == "m2"
    assert event.message["properties"] == {"v": 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@examples(300)
@given(value=json_values, is_ascii=st.booleans())
def test_what_a_message_carries_comes_out_as_it_was(value, is_ascii):
    message = altered(properties={"v": value}, extra=value)
    payload = json.dumps(message, ensure_ascii=is_ascii).encode()
    assert repr(parse_event(payload).message) == repr(message)


@examples(500)
@given(
    payload=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()), data=st.data()
)
def test_nothing_but_a_refusal_is_ever_raised(payload, data):
    position = data.draw(st.integers(0, len(payload)))
    whole = json.dumps(VALID).encode()
    for one in (payload, whole[:position] + payload + whole[position:], whole[: 3 * position]):
        try:
            event = parse_event(one)
        except InvalidEvent:
            continue
        assert event.message


@pytest.mark.parametrize(
    "message",
    [
        altered(type="secret"),
        altered(userId=["secret"]),
        altered(event="$secret"),
        altered(timestamp="secret"),
        altered(timestamp="2026-02-30T12:00:00Z"),
        altered(properties="secret"),
    ],
)
def test_a_refusal_tells_the_field_and_nothing_of_what_stood_there(message):
    refused = refusal(json.dumps(message).encode())
    field = next(key for key in message if message[key] != VALID[key])
    assert field in str(refused)
    assert "secret" not in str(refused)


# Live, an event's time is at most its publish time, and no more than 5 minutes ahead of it:
#
#     timestamp      | before |  publish time  |   5 minutes after | a millisecond later
#     event's time   | itself |  publish time  |   publish time    | refused


@pytest.mark.parametrize(
    ("ahead_ms", "time_ms"),
    [(-86_400_000, -86_400_000), (-1, -1), (0, 0), (1, 0), (MAX_AHEAD_MS - 1, 0), (MAX_AHEAD_MS, 0)],
)
def test_live_the_time_is_at_most_the_publish_time(ahead_ms, time_ms):
    message = altered(timestamp=format_timestamp(START_MS + ahead_ms))
    assert parsed(message, publish_time_ms=START_MS).timestamp_ms == START_MS + time_ms
    assert parsed(message).timestamp_ms == START_MS + ahead_ms


def test_live_more_than_five_minutes_ahead_is_refused():
    message = altered(timestamp=format_timestamp(START_MS + MAX_AHEAD_MS + 1))
    assert refusal(json.dumps(message).encode(), START_MS).reason == "future_timestamp"
    assert parsed(message).timestamp_ms == START_MS + MAX_AHEAD_MS + 1
