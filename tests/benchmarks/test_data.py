import gzip

import orjson

from benchmarks.data import LOG, repeated_events, repeated_lines, spread_events

LOGGED = 17_435


def test_a_part_of_the_log_is_its_beginning_under_new_ids():
    with gzip.open(LOG) as log:
        original = [orjson.loads(next(log)) for _ in range(20)]
    repeated = [orjson.loads(line) for line in repeated_lines(20)]
    for message in original:
        for field in {"messageId", "userId", "anonymousId"} & message.keys():
            message[field] += "-0"
    assert repeated == original


def test_copies_are_merged_by_time_and_share_no_ids():
    events = repeated_events(2 * LOGGED + 100)
    times = [event.timestamp_ms for event in events]
    assert len(events) == 2 * LOGGED + 100
    assert times == sorted(times)
    assert len({event.message_id for event in events}) == len(events)
    copies = [event.profile_id.rpartition("-")[2] for event in events]
    assert [copies.count(copy) for copy in "012"] == [LOGGED, LOGGED, 100]


def test_spread_events_differ_in_the_user_only():
    repeated, spread = repeated_events(500), spread_events(500, users=10)
    assert len({event.profile_id for event in spread}) == 10
    assert [event.message_id for event in spread] == [event.message_id for event in repeated]
    assert [event.timestamp_ms for event in spread] == [event.timestamp_ms for event in repeated]
