"""Messages become events or dead letters, on the local runner."""

from typing import Any, NamedTuple

import apache_beam as beam
import orjson
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.util import assert_that, equal_to

from segmentation.dead_letters import DeadLetter
from segmentation.events import MAX_AHEAD_MS, MAX_PAYLOAD_BYTES, Event, EventLimits
from segmentation.identifiers import parse_ignored_ids
from segmentation.messages import Message
from tests.events import START_MS, event, payload
from transforms.parse_events import ParseEvents
from transforms.step_metrics import reset_totals, total_counts

LOCAL_RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
NOW_MS = START_MS + 86_400_000
PLAN = (
    (
        "order.yaml",
        "event: Order Completed\non_violation: reject\n"
        "schema: {properties: {properties: {required: [total], properties: {total: {type: number}}}}}\n",
    ),
    (
        "view.yaml",
        "event: Product Viewed\non_violation: flag\n"
        "schema: {properties: {properties: {properties: {price: {type: number}}}}}\n",
    ),
)


def clock() -> int:
    return NOW_MS


class Parsed(NamedTuple):
    """What came out, in order, and what was counted."""

    events: list[Event]
    dead_letters: list[DeadLetter]
    counts: dict[str, int]


events: list[Event] = []
dead_letters: list[DeadLetter] = []


def note_event(one: Event) -> None:
    events.append(one)


def note_dead_letter(one: DeadLetter) -> None:
    dead_letters.append(one)


def parsed(*messages: Message | bytes, **config: Any) -> Parsed:
    """Takes messages, or lines of a log, through the step."""
    reset_totals()
    events.clear()
    dead_letters.clear()
    taken = [one if isinstance(one, Message) else Message(one) for one in messages]
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        created = pipeline | beam.Create(taken, reshuffle=False).with_output_types(Message)
        outputs = created | ParseEvents(**{"clock": clock, **config})
        _ = outputs.events | "Events" >> beam.Map(note_event)
        _ = outputs.dead_letters | "Dead" >> beam.Map(note_dead_letter)
    return Parsed(list(events), list(dead_letters), total_counts())


def published(seconds: float, at_seconds: float, **attributes: str) -> Message:
    """Returns a message about an event of one instant that was published at another."""
    return Message(payload(seconds, "Product Viewed"), START_MS + round(1000 * at_seconds), attributes)


@pytest.mark.parametrize("attributes", [{}, {"control": "heartbeat"}], ids=["event", "heartbeat"])
def test_on_a_machine_whose_clock_is_behind_no_message_is_taken(attributes: dict[str, str]) -> None:
    message = Message(payload(0, "Product Viewed"), NOW_MS + 3_660_000, attributes)
    with pytest.raises(Exception, match="this machine's clock is at least 61 minutes behind Pub/Sub's"):
        parsed(message)
    taken = parsed(message, clock=lambda: NOW_MS + 3_600_000)
    assert len(taken.events) == (0 if attributes else 1)


# Events and dead letters


def test_a_valid_message_is_an_event() -> None:
    message = payload(1, "Product Viewed", price=5)
    assert parsed(message) == Parsed(
        [event(1, "Product Viewed", price=5)],
        [],
        {"events_read": 1, "events_parsed": 1},
    )


def test_a_bad_message_is_a_dead_letter_whole_and_the_others_go_on() -> None:
    broken = Message(b'{"type":\xff', START_MS, {"origin": "web"})
    found = parsed(payload(1, "A"), broken, payload(2, "B"))
    assert [one.name for one in found.events] == ["A", "B"]
    (letter,) = found.dead_letters
    assert letter == DeadLetter(
        broken.payload, "ParseEvents", "not_json", "not UTF-8", NOW_MS, {"origin": "web"}
    )
    assert found.counts == {"events_read": 3, "events_parsed": 2, "events_dead_lettered_not_json": 1}


@pytest.mark.parametrize(
    "broken, reason",
    [
        (b"", "not_json"),
        (b"[]", "not_an_object"),
        (b"{}", "bad_type"),
        (b"{" + b" " * MAX_PAYLOAD_BYTES + b"}", "too_large"),
        (payload(1, "A").replace(b'"u1"', b"5"), "bad_field"),
        (payload(1, "A").replace(b"2026-03-02T", b"yesterday "), "bad_timestamp"),
    ],
)
def test_each_reason_is_counted_by_its_name(broken: bytes, reason: str) -> None:
    found = parsed(broken, broken)
    assert [(one.payload, one.reason) for one in found.dead_letters] == [(broken, reason)] * 2
    assert found.counts == {"events_read": 2, f"events_dead_lettered_{reason}": 2}


def test_outputs_come_through_a_runner_that_encodes_them() -> None:
    messages = [Message(payload(1, "A")), Message(b"\xff", None, {"origin": "web"})]
    with BeamPipeline(runner="FnApiRunner") as pipeline:
        outputs = pipeline | beam.Create(messages) | ParseEvents(clock=clock)
        assert outputs.events.element_type is Event
        assert_that(outputs.events, equal_to([event(1, "A")]), label="events")
        letter = DeadLetter(b"\xff", "ParseEvents", "not_json", "not UTF-8", NOW_MS, {"origin": "web"})
        assert_that(outputs.dead_letters, equal_to([letter]), label="dead letters")


def test_ignored_ids_are_counted() -> None:
    device = payload(1, "A").replace(b'"u1"', b'"undefined","anonymousId":"device"')
    nobody = payload(2, "A").replace(b'"u1"', b'"NULL"')
    found = parsed(device, nobody)
    assert [one.profile_id for one in found.events] == ["device"]
    assert [one.reason for one in found.dead_letters] == ["missing_id"]
    assert found.counts["ids_ignored"] == 1
    kept = parsed(device, limits=EventLimits(parse_ignored_ids("device")))
    assert [one.profile_id for one in kept.events] == ["undefined"]


# Time


def test_a_live_event_too_far_before_its_publish_time_is_a_dead_letter() -> None:
    limits = EventLimits(oldest_age_ms=60_000)
    found = parsed(published(0, 60), published(0, 60.001), payload(0, "A"), limits=limits)
    assert [one.timestamp_ms for one in found.events] == [START_MS, START_MS]
    assert [one.reason for one in found.dead_letters] == ["too_old"]


def test_a_live_event_is_no_later_than_its_publish_time() -> None:
    found = parsed(published(60, at_seconds=30), published(60, at_seconds=90))
    assert [one.timestamp_ms for one in found.events] == [START_MS + 30_000, START_MS + 60_000]


def test_a_live_event_too_far_ahead_of_its_publish_time_is_a_dead_letter() -> None:
    ahead_seconds = MAX_AHEAD_MS / 1000
    found = parsed(published(ahead_seconds, at_seconds=0), published(ahead_seconds + 0.001, at_seconds=0))
    assert len(found.events) == 1
    assert [one.reason for one in found.dead_letters] == ["future_timestamp"]


def test_events_after_as_of_are_counted_and_left_out() -> None:
    found = parsed(payload(1, "A"), payload(2, "B"), payload(2.001, "C"), as_of_ms=START_MS + 2000)
    assert [one.name for one in found.events] == ["A", "B"]
    assert found.dead_letters == []
    assert found.counts == {"events_read": 3, "events_parsed": 2, "events_after_as_of": 1}


def test_events_far_before_as_of_are_counted_and_kept() -> None:
    events = [payload(second, "A") for second in (-60, -60.001, -9000)]
    found = parsed(*events, as_of_ms=START_MS, limits=EventLimits(oldest_age_ms=60_000))
    assert len(found.events) == 3
    assert found.counts == {"events_read": 3, "events_parsed": 3, "events_far_before_as_of": 2}


def test_nothing_is_far_before_as_of_in_a_live_run() -> None:
    found = parsed(published(-50, at_seconds=0), limits=EventLimits(oldest_age_ms=60_000))
    assert "events_far_before_as_of" not in found.counts


def test_a_bounded_run_logs_its_progress(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.parse_events.PROGRESS_LINES", 2)
    lines = [payload(1, "A"), b"no", payload(2, "A"), payload(3, "A"), payload(4, "A")]
    with caplog.at_level("INFO", "transforms"):
        parsed(*lines, as_of_ms=START_MS)
    assert [record.message for record in caplog.records] == ["2 lines read", "4 lines read"]
    caplog.clear()
    with caplog.at_level("INFO", "transforms"):
        parsed(*lines)
    assert caplog.records == []


def test_a_bad_message_is_a_dead_letter_whenever_it_was() -> None:
    bad = payload(1000, "A").replace(b'"userId"', b'"user"')
    found = parsed(bad, as_of_ms=START_MS)
    assert [one.reason for one in found.dead_letters] == ["missing_id"]
    assert found.counts == {"events_read": 1, "events_dead_lettered_missing_id": 1}


# Control messages


@pytest.mark.parametrize("content", [b"", b"{", payload(1, "A")])
def test_a_heartbeat_is_counted_and_dropped_whatever_it_holds(content: bytes) -> None:
    found = parsed(Message(content, START_MS, {"control": "heartbeat", "test": "1"}))
    assert found == Parsed([], [], {"events_read": 1, "heartbeats": 1})


@pytest.mark.parametrize("control", ["erasure", "", "Heartbeat"])
def test_an_unknown_control_message_is_a_dead_letter_and_no_event(control: str) -> None:
    message = Message(payload(1, "A"), START_MS, {"control": control})
    found = parsed(message)
    assert found.events == []
    (letter,) = found.dead_letters
    assert (letter.payload, letter.reason, letter.attributes) == (
        message.payload,
        "bad_type",
        {"control": control},
    )


def test_other_attributes_make_no_control_message() -> None:
    assert len(parsed(published(1, at_seconds=1, Control="heartbeat", kind="control")).events) == 1


# The tracking plan


def test_an_event_that_keeps_the_plan_passes_uncounted() -> None:
    found = parsed(payload(1, "Order Completed", total=5), payload(2, "Product Viewed"), tracking_plan=PLAN)
    assert len(found.events) == 2
    assert found.counts == {"events_read": 2, "events_parsed": 2}


def test_an_event_that_the_plan_rejects_is_a_dead_letter_that_says_where_and_not_what() -> None:
    broken = Message(payload(1, "Order Completed", total="secret"), NOW_MS, {"origin": "web"})
    missing = Message(payload(2, "Order Completed"))
    found = parsed(broken, missing, tracking_plan=PLAN)
    assert found.events == []
    assert found.dead_letters == [
        DeadLetter(
            broken.payload, "ParseEvents", "tracking_plan", "properties.total: expected number", NOW_MS,
            {"origin": "web"},
        ),
        DeadLetter(missing.payload, "ParseEvents", "tracking_plan", "properties.total: is missing", NOW_MS),
    ]  # fmt: skip
    assert found.counts == {"events_read": 2, "events_dead_lettered_tracking_plan": 2}


def test_a_value_that_nests_deeply_violates_the_plan_like_any_other() -> None:
    """The validator fails on a copy of a value that nests more than 255 levels."""
    deep = payload(1, "Order Completed", total="x").replace(b'"x"', b"[" * 400 + b"]" * 400)
    found = parsed(deep, payload(2, "Order Completed", total=5), tracking_plan=PLAN)
    assert [letter.payload for letter in found.dead_letters] == [deep]
    assert found.counts == {
        "events_read": 2, "events_parsed": 1, "events_dead_lettered_tracking_plan": 1,
    }  # fmt: skip


def test_an_event_that_the_plan_flags_passes_and_is_counted() -> None:
    flagged = payload(1, "Product Viewed", price="5")
    found = parsed(flagged, tracking_plan=PLAN)
    assert [one.payload for one in found.events] == [flagged]
    assert found.counts == {"events_read": 1, "events_parsed": 1, "events_flagged": 1}


def test_what_the_plan_does_not_name_passes() -> None:
    found = parsed(payload(1, "Anything", total="5"), payload(2, "$page"), tracking_plan=PLAN)
    assert [one.name for one in found.events] == ["Anything", "$page"]
    assert "events_flagged" not in found.counts


@pytest.mark.parametrize("plan", [None, ()])
def test_without_a_plan_everything_passes(plan: tuple[()] | None) -> None:
    found = parsed(payload(1, "Order Completed"), tracking_plan=plan)
    assert found.counts == {"events_read": 1, "events_parsed": 1}


def test_events_after_as_of_are_not_held_against_the_plan() -> None:
    late = payload(2, "Order Completed"), payload(2, "Product Viewed", price="5")
    found = parsed(*late, tracking_plan=PLAN, as_of_ms=START_MS)
    assert found == Parsed([], [], {"events_read": 2, "events_after_as_of": 2})


def test_the_step_does_not_show_the_plan() -> None:
    assert "Order Completed" not in repr(ParseEvents(tracking_plan=PLAN))


def test_a_message_is_parsed_once_also_for_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    payloads = [payload(1, name, total=5) for name in ("Order Completed", "Product Viewed", "Anything")]
    decoded: list[bytes] = []

    def loads(content: bytes) -> Any:
        decoded.append(content)
        return orjson.loads(content)

    monkeypatch.setattr("segmentation.events._loads", loads)
    assert len(parsed(*payloads, tracking_plan=PLAN).events) == 3
    assert decoded == payloads
