"""What the collector adds to an event never makes it invalid; and empty lists of PHP."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import MAX_PAYLOAD_BYTES, MAX_SENT_BYTES, parse_event
from segmentation.timestamps import parse_timestamp
from services.collector.completion import MAX_SHARED_BYTES, MAX_USER_AGENT_CHARACTERS, Completion, Received
from services.collector.messages import to_messages

NOON = parse_timestamp("2026-03-02T12:00:00Z")
EVENT = {
    "type": "track",
    "messageId": "m1",
    "userId": "ann",
    "event": "Added",
    "timestamp": "2026-03-02T11:59:00Z",
}
IDENTIFY = {"type": "identify", "userId": "ann"}


def received(*, user_agent=None, kind=None, **shared):
    fields = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in shared.items()}
    return Received(NOON, "203.0.113.77", "keep", user_agent, kind, fields)


def of_size(size_bytes, event=EVENT, filled="properties"):
    """Returns an event of so many bytes as it was sent."""
    raw = json.dumps({**event, filled: {"a": "@"}}).encode()
    return raw.replace(b"@", b"x" * (size_bytes - len(raw) + 1))


def messages(*events, **how):
    raw = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return to_messages(raw, received(**how))


def published(event, **how):
    made = messages(event, **how)
    assert made.refusals == []
    return json.loads(made.events[0])


def refused(event, **how):
    """Returns the reason and the payload of a dead letter."""
    made = messages(event, **how)
    assert made.events == []
    (letter,) = map(json.loads, made.dead_letters)
    return letter["reason"], json.loads(letter["payload"])


# Sizes


@pytest.mark.parametrize("kind", [None, "track"])
def test_an_event_of_the_largest_size_is_taken_whatever_is_added(kind):
    shared = {} if kind else {"context": {"locale": "de"}, "integrations": {"All": True}, "sentAt": "noon"}
    event = of_size(MAX_SENT_BYTES, {name: EVENT[name] for name in ("type", "userId", "event")})
    assert len(event) == MAX_SENT_BYTES
    message = published(event, kind=kind, user_agent="a" * 500, **shared)
    assert {"messageId", "timestamp", "receivedAt", "context"} <= set(message)
    assert refused(of_size(MAX_SENT_BYTES + 1), kind=kind)[0] == "too_large"


def test_a_long_user_agent_is_cut():
    message = published(EVENT, user_agent="a" * 60_000)
    assert message["context"]["userAgent"] == "a" * MAX_USER_AGENT_CHARACTERS
    own = {"userAgent": "b" * 10_000}
    assert published({**EVENT, "context": own}, user_agent="a")["context"]["userAgent"] == "b" * 10_000


def test_the_batchs_fields_have_room_of_their_own():
    context = {"a": "x" * (MAX_SHARED_BYTES - 9)}
    assert len(json.dumps(context)) == MAX_SHARED_BYTES
    assert published(of_size(MAX_SENT_BYTES), context=context)["context"]["a"] == context["a"]
    context["a"] += "x"
    reason, payload = refused(of_size(MAX_SENT_BYTES), context=context)
    assert (reason, payload.get("context", {}).get("a")) == ("too_large", None)
    assert published(EVENT, context={"a": "x" * MAX_SENT_BYTES})["context"]["a"], (
        "a small event has more room"
    )


def test_the_fields_of_a_batch_are_not_copied_to_events_that_they_make_too_large():
    """Copied to 2,500 dead letters, they would be 10 GB."""
    events = [json.dumps({**EVENT, "writeKey": "key"}).encode()] * 20
    made = to_messages(events, received(context={"a": "x" * 1_000_000}))
    assert made.reasons == ["too_large"] * 20
    assert "of the batch" in made.refusals[0].message
    for letter in map(json.loads, made.dead_letters):
        payload = json.loads(letter["payload"])
        assert len(letter["payload"]) < 1_000
        assert {name: payload[name] for name in EVENT} == EVENT
        assert "writeKey" not in payload


def test_an_event_that_is_too_large_is_dead_lettered_without_the_fields_of_its_batch():
    reason, payload = refused(of_size(MAX_SENT_BYTES + 1), context={"locale": "de"}, integrations={"a": True})
    assert reason == "too_large"
    assert payload["context"] == {"ip": "203.0.113.77"}
    assert "integrations" not in payload
    assert {name: payload[name] for name in EVENT} == EVENT


def test_traits_are_copied_out_of_the_context_if_there_is_room():
    """The pipeline takes them out of the context too, so they count in any case."""
    event = {"type": "identify", "messageId": "m1", "userId": "ann", "timestamp": EVENT["timestamp"]}
    for size_bytes, is_copied in ((1_000, True), (30_000, False)):
        traits = {"a": "x" * size_bytes}
        made = messages({**event, "context": {"traits": traits}}, user_agent="a" * 2_000)
        assert made.refusals == []
        assert ("traits" in json.loads(made.events[0])) == is_copied
        assert parse_event(made.events[0], NOON).message["traits"] == traits


@given(
    st.integers(30_000, MAX_SENT_BYTES),
    st.sampled_from(["", "context", "integrations", "sentAt"]),
    st.integers(0, MAX_SHARED_BYTES - 100),
    st.sampled_from('a"\\é\x7f'),
    st.sampled_from([EVENT, IDENTIFY, {"type": "track", "userId": "ann", "event": "A"}]),
    st.sampled_from(["properties", "traits", "context"]),
)
def test_what_is_added_never_makes_an_event_too_large_for_the_pipeline(
    sent_bytes, shared_field, shared_bytes, character, event, filled
):
    shared = {shared_field: {"a": "x" * shared_bytes}} if shared_field else {}
    how = received(user_agent=character * 60_000, **shared)
    (completed,) = Completion(how).complete([of_size(sent_bytes, event, filled)])
    assert completed.problem is None
    assert len(completed.payload) <= MAX_PAYLOAD_BYTES
    parse_event(completed.payload, NOON)


def test_a_timestamp_of_great_length_is_not_sent_on_twice():
    event = {**EVENT, "timestamp": "2026-03-02T11:00:00." + "1" * 32_000 + "Z"}
    message = published(event)
    assert message["timestamp"] == "2026-03-02T11:00:00.111Z"
    assert message["originalTimestamp"] == event["timestamp"]


# Empty lists


@pytest.mark.parametrize("empty", [b"[]", b"[ ]", b"[\n\t]"])
def test_an_empty_list_where_an_object_belongs_is_absent(empty):
    for field in ("properties", "traits", "context", "integrations"):
        raw = json.dumps({**EVENT, field: "@"}).encode().replace(b'"@"', empty)
        message = published(raw)
        assert message.get(field) == ({"ip": "203.0.113.77"} if field == "context" else None)


def test_an_empty_list_gives_way_to_the_batchs_fields():
    message = published(
        {**EVENT, "context": [], "integrations": []}, context={"locale": "de"}, integrations={"All": True}
    )
    assert (message["context"]["locale"], message["integrations"]) == ("de", {"All": True})


def test_an_empty_list_of_the_batch_is_absent():
    message = published({**EVENT, "context": {"locale": "de"}}, context=[], integrations=[])
    assert message["context"] == {"locale": "de", "ip": "203.0.113.77"}
    assert "integrations" not in message


def test_empty_traits_give_way_to_those_of_the_context():
    traits = {"plan": "gold"}
    assert published({**IDENTIFY, "traits": [], "context": {"traits": traits}})["traits"] == traits
    assert published(IDENTIFY, context={"traits": traits})["traits"] == traits
    assert "traits" not in published({**IDENTIFY, "context": {"traits": []}})


@pytest.mark.parametrize("field", ["properties", "traits", "context"])
@pytest.mark.parametrize("value", [[0], [[]], [{}], "", "[]", 0, False])
def test_anything_else_where_an_object_belongs_is_a_bad_field(field, value):
    assert refused({**EVENT, field: value})[0] == "bad_field"


@pytest.mark.parametrize("own", [{}, {"context": None}, {"context": {"locale": "de"}}])
def test_a_context_of_the_batch_that_is_not_an_object_is_a_bad_field(own):
    reason, payload = refused({**EVENT, **own}, context=[1])
    assert reason == "bad_field"
    assert payload["context"] == ([1] if not own.get("context") else {"locale": "de", "ip": "203.0.113.77"})


# What was sent


def test_a_single_call_with_half_an_emoji_is_completed_too():
    raw = json.dumps({"userId": "ann", "messageId": "m1"}).encode()[:-1] + b',"event":"Cut \\ud83d"}'
    message = published(raw, kind="track")
    assert (message["type"], message["event"]) == ("track", "Cut \\ud83d")


def test_events_of_a_batch_without_times_keep_their_order():
    made = messages(*[{"type": "track", "userId": "ann", "event": name} for name in "ABC"])
    assert [(message["event"], message["timestamp"]) for message in map(json.loads, made.events)] == [
        ("A", "2026-03-02T11:59:59.998Z"),
        ("B", "2026-03-02T11:59:59.999Z"),
        ("C", "2026-03-02T12:00:00.000Z"),
    ]


@pytest.mark.parametrize(
    "written, form", [(1772452800, "number"), ("1772452800", "number"), ("2026-03-02T11:00:00", "offset")]
)
def test_a_doubtful_time_is_refused_by_a_message_that_names_the_form(written, form):
    made = messages({**EVENT, "timestamp": written})
    assert made.reasons == ["bad_timestamp"]
    assert form in made.refusals[0].message


def test_a_missing_id_names_the_value_that_was_ignored():
    made = messages(
        {**EVENT, "userId": "[object Object]"}, {**EVENT, "userId": "undefined", "anonymousId": "a1"}
    )
    assert made.reasons == ["missing_id"]
    assert "[object Object]" in made.refusals[0].message
    assert made.ignored_ids == 2
    assert parse_event(made.events[0], NOON).profile_id == "a1"
