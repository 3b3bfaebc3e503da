import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import MAX_AHEAD_MS
from segmentation.timestamps import format_timestamp, parse_timestamp
from services.collector.event_times import EventTimes

NOON = parse_timestamp("2026-03-02T12:00:00Z")
NOON_TEXT = "2026-03-02T12:00:00.000Z"
MINUTE, HOUR = 60_000, 3_600_000


def raw(value):
    return msgspec.Raw(json.dumps(value).encode())


def times(*events, sent_at=None):
    """Returns the times of a request's events that arrives at noon."""
    fields = [{name: raw(value) for name, value in event.items()} for event in events]
    return EventTimes(NOON, None if sent_at is None else raw(sent_at)).of(fields)


def written(*events, sent_at=None):
    return [json.loads(msgspec.json.encode(time.fields)) for time in times(*events, sent_at=sent_at)]


def repairs(event, sent_at=None):
    (time,) = times(event, sent_at=sent_at)
    return time.repairs


def at(ms):
    return format_timestamp(NOON + ms)


@pytest.mark.parametrize("missing", [{}, {"timestamp": None}, {"timestamp": ""}])
def test_without_a_time_it_happened_when_it_arrived(missing):
    (time,) = times(missing)
    assert time == ({"timestamp": NOON_TEXT}, False, False, set())


@pytest.mark.parametrize("zero", ["0001-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00", 0])
def test_a_zero_time_is_none(zero):
    (time,) = times({"timestamp": zero, "originalTimestamp": zero, "sentAt": zero}, sent_at=zero)
    assert time == ({"timestamp": NOON_TEXT}, False, False, {"zero_time"})
    assert written({"timestamp": zero, "originalTimestamp": at(-HOUR)}) == [{"timestamp": at(-HOUR)}]
    assert repairs({"timestamp": at(-HOUR), "originalTimestamp": zero}) == set(), "nobody looked at it"


@pytest.mark.parametrize("sent_at", [None, at(-5 * MINUTE)])
def test_events_without_a_time_keep_their_order(sent_at):
    found = written({}, {"timestamp": at(-HOUR)}, {"timestamp": 0}, {"timestamp": None}, sent_at=sent_at)
    told = [found[place]["timestamp"] for place in (0, 2, 3)]
    assert told == [at(-2), at(-1), at(0)], "the last one has the time of arrival, and none is later"


def test_events_in_one_second_of_the_device_are_left_there():
    """The collector cannot know which came first."""
    second = "2026-03-02T11:59:00+00:00"
    assert written(*[{"timestamp": second}] * 3) == [{"timestamp": second}] * 3


@pytest.mark.parametrize(
    "spelling",
    ["2026-03-02T12:30:00.000+0100", "2026-03-02 11:30:00 UTC", "٢٠٢٦-٠٣-٠٢T١١:٣٠:٠٠Z", f"{at(-HOUR // 2)} "],
)
@pytest.mark.parametrize("field", ["timestamp", "originalTimestamp"])
def test_another_spelling_is_written_out_and_kept(field, spelling):
    (time,) = times({field: spelling})
    assert time.repairs == {"spelling"}
    assert written({field: spelling}) == [{"timestamp": at(-HOUR // 2), "originalTimestamp": spelling}]


@pytest.mark.parametrize("doubtful", [1772452800, "1772452800", "2026-03-02T11:00:00", {"$date": 0}, True])
def test_a_doubtful_time_is_left_for_the_pipeline_to_refuse(doubtful):
    assert written({"timestamp": doubtful}, sent_at=at(-HOUR)) == [{"timestamp": doubtful}]


@pytest.mark.parametrize("own", [True, False])
def test_a_wrong_clock_is_corrected(own):
    event = {"timestamp": at(-3 * HOUR)} | ({"sentAt": at(-HOUR)} if own else {})
    sent_at = at(HOUR) if own else at(-HOUR)
    assert written(event, sent_at=sent_at) == [
        {"timestamp": at(-2 * HOUR), "originalTimestamp": at(-3 * HOUR)}
    ]
    assert repairs(event, sent_at) == {"clock_error"}


@pytest.mark.parametrize("unreadable", ["noon", 1772452800, "2026-03-02T11:00:00", {}, True])
def test_an_unreadable_sent_at_is_counted_and_the_other_one_corrects(unreadable):
    event = {"timestamp": at(-3 * HOUR)}
    corrected = [{"timestamp": at(-2 * HOUR), "originalTimestamp": at(-3 * HOUR)}]
    assert written({**event, "sentAt": unreadable}, sent_at=at(-HOUR)) == corrected
    assert repairs({**event, "sentAt": unreadable}, at(-HOUR)) == {"unreadable_sent_at", "clock_error"}
    assert written({**event, "sentAt": at(-HOUR)}, sent_at=unreadable) == corrected
    assert repairs({**event, "sentAt": at(-HOUR)}, unreadable) == {"clock_error"}, "nobody looked at it"
    assert written({**event, "sentAt": unreadable}, sent_at=unreadable) == [event]
    assert repairs({**event, "sentAt": unreadable}, unreadable) == {"unreadable_sent_at"}
    assert repairs(event, unreadable) == {"unreadable_sent_at"}


def test_a_sent_at_of_zero_gives_way_to_the_batchs():
    event = {"timestamp": at(-3 * HOUR), "sentAt": "0001-01-01T00:00:00Z"}
    assert written(event, sent_at=at(-HOUR))[0]["timestamp"] == at(-2 * HOUR)
    assert repairs(event, at(-HOUR)) == {"zero_time", "clock_error"}
    assert not times(event, sent_at=at(-HOUR))[0].has_own_sent_at


def test_an_event_ahead_of_its_own_sent_at_is_capped_to_it():
    """The device set its clock right between the event and the request."""
    sent_at = at(-20_000)
    event = {"timestamp": at(3 * HOUR), "sentAt": sent_at}
    assert written(event) == [{"timestamp": sent_at, "originalTimestamp": at(3 * HOUR)}]
    assert written({"timestamp": at(3 * HOUR)}, sent_at=sent_at)[0]["timestamp"] == sent_at
    assert repairs(event) == {"ahead_of_sent_at"}


def test_capped_events_keep_their_order_and_are_not_in_the_future():
    ahead = {"timestamp": at(3 * HOUR)}
    told = [fields["timestamp"] for fields in written(ahead, ahead, {}, sent_at=at(40_000))]
    assert told == [at(-2), at(-1), at(0)]


def test_a_wrong_clock_and_an_event_ahead_of_it():
    event = {"timestamp": at(5 * HOUR), "sentAt": at(2 * HOUR)}
    assert written(event)[0]["timestamp"] == NOON_TEXT
    assert repairs(event) == {"clock_error", "ahead_of_sent_at"}


@pytest.mark.parametrize("ahead_ms", [1, 1000, MINUTE, MAX_AHEAD_MS])
def test_a_clock_that_is_a_little_ahead_leaves_the_order(ahead_ms):
    """The pipeline caps these events to the time at which they were published, all of them to the same."""
    events = [{"timestamp": at(step_ms)} for step_ms in (-50, (ahead_ms + 1) // 2, ahead_ms)]
    assert [fields["timestamp"] for fields in written(*events)] == [at(-50), at(-1), at(0)]
    assert repairs({"timestamp": at(ahead_ms)}) == {"ahead_of_arrival"}


def test_what_is_far_ahead_without_a_sent_at_is_left_for_the_pipeline_to_refuse():
    event = {"timestamp": at(MAX_AHEAD_MS + 1)}
    assert written(event) == [event]
    assert written({**event, "sentAt": "noon"}) == [event]


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "timestamp": st.sampled_from([None, 0, "x", at(-HOUR), at(0), at(50_000), at(9 * HOUR)]),
                "sentAt": st.sampled_from([None, 0, "x", at(-HOUR), at(0), at(HOUR)]),
            },
        ),
        max_size=6,
    ),
    st.sampled_from([None, "x", at(-HOUR), at(30_000)]),
)
def test_times_that_are_not_the_devices_own_are_in_order_and_not_in_the_future(events, sent_at):
    assigned = []
    found = zip(events, times(*events, sent_at=sent_at), written(*events, sent_at=sent_at), strict=True)
    for event, time, fields in found:
        if not time.has_own_time or time.repairs & {"ahead_of_sent_at", "ahead_of_arrival"}:
            assigned.append((event.get("sentAt"), parse_timestamp(fields["timestamp"])))
    assert all(ms <= NOON for _, ms in assigned)
    same_base = [ms for own, ms in assigned if own == at(0)]
    assert same_base == sorted(set(same_base))


def test_what_is_not_an_object_has_no_time():
    assert EventTimes(NOON, None).of([None]) == [None]
