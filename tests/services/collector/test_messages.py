import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation import events as event_parser
from segmentation.events import MAX_SENT_BYTES, parse_event
from segmentation.timestamps import format_timestamp, parse_timestamp
from services.collector.bodies import MAX_BODY_BYTES, open_object
from services.collector.completion import Received
from services.collector.messages import STEP, PlanViolation, Refusal, to_messages

NOON = parse_timestamp("2026-03-02T12:00:00Z")
EVENT = {
    "type": "track",
    "messageId": "m1",
    "userId": "ann",
    "event": "Product Added",
    "timestamp": "2026-03-02T11:59:00Z",
    "properties": {"price": 1},
}


def received(at_ms=NOON, ip="203.0.113.77", ip_setting="keep", user_agent="agent", kind=None, **shared):
    fields = open_object(json.dumps(shared).encode())
    return Received(at_ms, ip, ip_setting, user_agent, kind, fields)


def messages(*events, plan_check=None, **how):
    raw = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return to_messages(raw, received(**how), plan_check)


def published(*events, **how):
    """Returns the only message of what is one good event."""
    made = messages(*events, **how)
    assert (made.dead_letters, made.reasons) == ([], [])
    (payload,) = made.events
    return json.loads(payload)


def without(event, *fields):
    return {name: value for name, value in event.items() if name not in fields}


def test_an_event_gets_what_only_the_collector_knows_and_keeps_the_rest():
    assert published(EVENT) == {
        **EVENT,
        "receivedAt": "2026-03-02T12:00:00.000Z",
        "context": {"ip": "203.0.113.77", "userAgent": "agent"},
    }


def test_what_the_event_says_itself_comes_first():
    context = {"ip": "198.51.100.1", "userAgent": "its own", "locale": "de"}
    assert published({**EVENT, "context": context})["context"] == context


@pytest.mark.parametrize("own", [None, {"ip": None}, {"ip": "198.51.100.1"}])
@pytest.mark.parametrize("setting, kept", [("truncate", {"203.0.113.0", "198.51.100.0"}), ("drop", {None})])
def test_the_setting_holds_for_every_address(own, setting, kept):
    context = published({**EVENT, "context": own}, ip_setting=setting)["context"]
    assert context.get("ip") in kept
    assert ("ip" in context) == (setting != "drop")


@pytest.mark.parametrize("setting", ["truncate", "drop"])
@pytest.mark.parametrize(
    "address", ["203.0.113.77", "203.0.113.77:80", "[2001:db8:1:2::6]:443", "nobody", ["x"]]
)
@pytest.mark.parametrize("place", ["event", "batch"])
def test_an_address_goes_also_if_it_is_all_that_the_context_has(setting, address, place):
    context = {"context": {"ip": address}}
    event, shared = ({**EVENT, **context}, {}) if place == "event" else (EVENT, context)
    message = published(event, ip=None, ip_setting=setting, user_agent=None, **shared)
    truncated = {
        "203.0.113.77": "203.0.113.0",
        "203.0.113.77:80": "203.0.113.0",
        "[2001:db8:1:2::6]:443": "2001:db8:1::",
    }
    kept = truncated.get(str(address)) if setting == "truncate" else None
    assert message.get("context", {}) == ({} if kept is None else {"ip": kept})


@pytest.mark.parametrize("setting", ["truncate", "drop"])
def test_a_dead_letter_has_no_more_of_an_address_than_an_event(setting):
    event = {**without(EVENT, "event"), "context": {"ip": "203.0.113.77:80"}}
    (dead_letter,) = messages(event, ip=None, ip_setting=setting, user_agent=None).dead_letters
    assert b"missing_event" in dead_letter
    assert b"203.0.113.77" not in dead_letter


def test_a_client_cannot_say_when_its_event_was_received():
    assert (
        published({**EVENT, "receivedAt": "1999-01-01T00:00:00Z"})["receivedAt"] == "2026-03-02T12:00:00.000Z"
    )


def test_the_write_key_does_not_travel_on():
    made = messages({**EVENT, "writeKey": "web-write-key"}, {"type": "odd", "writeKey": "web-write-key"})
    assert (len(made.events), len(made.dead_letters)) == (1, 1)
    assert b"web-write-key" not in made.events[0] + made.dead_letters[0]


def test_the_path_names_the_type():
    assert published({**EVENT, "type": "alias"}, kind="track")["type"] == "track"
    assert published(without(EVENT, "type"), kind="page")["type"] == "page"


@pytest.mark.parametrize("given", [{}, {"messageId": None}, {"messageId": ""}])
def test_a_missing_message_id_is_filled_and_the_same_when_the_batch_comes_again(given):
    events = [{**without(EVENT, "messageId"), **given}] * 2
    first, again = (
        [json.loads(payload)["messageId"] for payload in messages(*events, at_ms=at_ms).events]
        for at_ms in (NOON, NOON + 5_000)
    )
    assert first == again
    assert len(set(first)) == 2, "two events of one batch are two events"


def test_an_event_without_a_time_of_its_own_is_another_one_each_time():
    event = without(EVENT, "messageId", "timestamp")
    first, again = published(event), published(event)
    assert first["messageId"] != again["messageId"]
    assert first["timestamp"] == "2026-03-02T12:00:00.000Z"


@pytest.mark.parametrize("given", [{}, {"timestamp": None}, {"timestamp": ""}])
def test_without_a_timestamp_the_original_timestamp_is_it(given):
    event = {**without(EVENT, "timestamp"), **given, "originalTimestamp": "2026-03-02T11:00:00Z"}
    assert published(event)["timestamp"] == "2026-03-02T11:00:00Z"


def test_the_batchs_fields_hold_for_each_event_without():
    shared = {
        "sentAt": "2026-03-02T11:59:59Z",
        "context": {"locale": "de", "app": {"name": "shop"}},
        "integrations": {"All": True},
    }
    assert published(EVENT, **shared) == {
        **EVENT,
        "sentAt": "2026-03-02T11:59:59Z",
        "integrations": {"All": True},
        "context": {"locale": "de", "app": {"name": "shop"}, "ip": "203.0.113.77", "userAgent": "agent"},
        "receivedAt": "2026-03-02T12:00:00.000Z",
    }
    own = {"sentAt": "2026-03-02T11:59:58Z", "context": {"locale": "en"}, "integrations": {}}
    message = published({**EVENT, **own}, **shared)
    assert message["sentAt"] == own["sentAt"]
    assert message["integrations"] == {}
    assert (message["context"]["locale"], message["context"]["app"]) == ("en", {"name": "shop"})


def test_a_wrong_clock_is_corrected_by_the_events_own_sent_at_or_the_batchs():
    an_hour_slow = "2026-03-02T11:00:00Z"
    event = {**EVENT, "timestamp": "2026-03-02T10:30:00Z"}
    for message in (published({**event, "sentAt": an_hour_slow}), published(event, sentAt=an_hour_slow)):
        assert message["timestamp"] == "2026-03-02T11:30:00.000Z"
        assert message["originalTimestamp"] == "2026-03-02T10:30:00Z"


def test_a_right_clock_is_left_alone_to_the_letter():
    message = published(
        {**EVENT, "timestamp": "2026-03-02T12:58:59.123456+01:00"}, sentAt="2026-03-02T11:59:00Z"
    )
    assert message["timestamp"] == "2026-03-02T12:58:59.123456+01:00"
    assert "originalTimestamp" not in message


@given(st.lists(st.integers(0, 60_000), min_size=2, max_size=4), st.booleans(), st.booleans())
def test_a_batch_that_is_sent_again_yields_the_same_messages(transits_ms, has_ids, sent_at_stays):
    """Whatever became of the first attempt: the SDK may write a new sentAt or send the same bytes again."""
    fields = EVENT if has_ids else without(EVENT, "messageId")
    events = [{**fields, "properties": {"n": n}} for n in range(3)]
    outcomes = []
    for attempt, transit_ms in enumerate(transits_ms):
        sent_ms = NOON if sent_at_stays else NOON + attempt * 3_600_000
        made = messages(*events, at_ms=sent_ms + transit_ms, sentAt=format_timestamp(sent_ms))
        assert not made.dead_letters
        told = [json.loads(payload) for payload in made.events]
        outcomes.append([without(message, "receivedAt", "sentAt") for message in told])
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize(
    "bad, reason",
    [
        (b"5", "not_an_object"),
        (b"[]", "not_an_object"),
        ({**EVENT, "type": "click"}, "bad_type"),
        (without(EVENT, "userId"), "missing_id"),
        (without(EVENT, "event"), "missing_event"),
        ({**EVENT, "event": "$page"}, "bad_field"),
        ({**EVENT, "properties": 3}, "bad_field"),
        ({**EVENT, "context": 3}, "bad_field"),
        ({**EVENT, "messageId": 3}, "bad_field"),
        ({**EVENT, "timestamp": 1772452800}, "bad_timestamp"),
        ({**EVENT, "timestamp": "yesterday"}, "bad_timestamp"),
        ({**EVENT, "timestamp": "2026-03-02T12:05:00.001Z"}, "future_timestamp"),
        ({**EVENT, "properties": {"a": "x" * MAX_SENT_BYTES}}, "too_large"),
        (json.dumps(EVENT).encode().replace(b'"price": 1', b'"a": ' + b"[" * 600 + b"]" * 600), "not_json"),
        (json.dumps(EVENT).encode().replace(b'"ann"', b'"\xff"'), "not_json"),
    ],
)
def test_a_bad_event_is_dead_lettered_alone_and_whole(bad, reason):
    made = messages(EVENT, bad, {**EVENT, "messageId": "m2"})
    assert [json.loads(payload)["messageId"] for payload in made.events] == ["m1", "m2"]
    (letter,) = (json.loads(row) for row in made.dead_letters)
    assert (letter["step"], letter["reason"]) == (STEP, reason)
    assert made.refusals == [Refusal(1, reason, letter["message"])]
    assert letter["received_at"] == "2026-03-02T12:00:00.000Z"
    assert letter["attributes"] == {}
    if isinstance(bad, dict):
        whole = json.loads(letter["payload"])
        assert {name: whole[name] for name in without(bad, "context")} == without(bad, "context")


@pytest.mark.parametrize("filling", [b'\\"', b"\\\\", b"\xff", b"\n"])
def test_the_dead_letter_of_the_largest_body_fits_into_a_message_of_pubsub(filling):
    raw = b'{"type":"track","properties":{"a":'
    inside = filling * ((MAX_BODY_BYTES - 100) // len(filling))
    raw += inside + b"1}}" if filling == b"\n" else b'"' + inside + b'"}}'
    (row,) = messages(raw).dead_letters
    assert 4_700_000 < len(row) < 9_900_000


def test_the_traits_of_an_identify_call_are_found_where_rudderstack_puts_them():
    identify = {**without(EVENT, "event"), "type": "identify", "context": {"traits": {"plan": "gold"}}}
    assert published(identify)["traits"] == {"plan": "gold"}
    assert published(without(identify, "type"), kind="identify")["traits"] == {"plan": "gold"}
    assert published({**identify, "traits": {"plan": "free"}})["traits"] == {"plan": "free"}
    assert "traits" not in published({**identify, "type": "page"})


def test_a_null_context_is_none():
    assert published({**EVENT, "context": None})["context"] == {"ip": "203.0.113.77", "userAgent": "agent"}
    bare = published({**EVENT, "context": None}, ip=None, user_agent=None)
    assert bare["context"] is None


def test_numbers_and_texts_arrive_as_the_bytes_that_were_sent():
    properties = b'{"price":1.10,"id":12345678901234567890123,"big":1e400,"name":"caf\\u00e9 \\u2028"}'
    event = json.dumps(without(EVENT, "properties")).encode()[:-1] + b',"properties":' + properties + b"}"
    (payload,) = messages(event).events
    assert properties in payload


def test_of_a_key_that_stands_twice_the_last_counts():
    raw = json.dumps(EVENT).encode()[:-1] + b',"userId":"bob"}'
    assert published(raw)["userId"] == "bob"


def test_the_tracking_plan_gets_the_message_without_another_parse(monkeypatch):
    parse, parsed, planned = event_parser._loads, [], []

    def note(payload):
        parsed.append(payload)
        return parse(payload)

    monkeypatch.setattr(event_parser, "_loads", note)
    made = messages(EVENT, plan_check=lambda name, message: planned.append((name, message)))
    assert planned == [(EVENT["event"], json.loads(made.events[0]))]
    assert parsed == made.events


def test_the_tracking_plan_rejects_or_flags_valid_events_only():
    def plan_check(name, message):
        return {
            "reject": PlanViolation("reject", "properties.price: expected a text"),
            "flag": PlanViolation("flag", "properties.price: expected a text"),
        }.get(name)

    events = [{**EVENT, "event": name} for name in ("fine", "reject", "flag")]
    made = messages(*events, {**EVENT, "event": "reject", "userId": ""}, plan_check=plan_check)
    assert [json.loads(payload)["event"] for payload in made.events] == ["fine", "flag"]
    assert made.reasons == ["tracking_plan", "missing_id"]
    assert made.flagged == 1
    assert json.loads(made.dead_letters[0])["message"] == "properties.price: expected a text"


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=3), st.lists).map(json.dumps).map(str.encode)
)
def test_whatever_comes_is_either_a_message_that_the_pipeline_takes_or_a_dead_letter(raw):
    made = to_messages([raw], received())
    assert len(made.events) + len(made.dead_letters) == 1
    for payload in made.events:
        parse_event(payload, NOON)
    for row in made.dead_letters:
        json.loads(row)
