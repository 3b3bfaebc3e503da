"""The bounds of memories whose events add several rows: whole instants go, the oldest first, and count as events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import Event
from segmentation.memories import rows, sequences
from segmentation.memories.measures import counts, measure
from segmentation.memories.memory import Memory, MemoryKind
from segmentation.memories.rows import MAX_EVENTS, MAX_ROWS
from segmentation.profile.profile import Outcome
from segmentation.profile.state import State, decode, encode
from tests.events import START_MS, event, message
from tests.segmentation.folding import Fold, event_of, examples, rules_for, rules_of
from tests.segmentation.pictures import at, folded

SAME = {
    "sequence": [{"event": "A"}, {"event": ["A", "B"]}],
    "within": "1h",
    "same": "properties.ids[]",
}
MANY = {"event": "A", "within": "1h", "distinct": {"of": "properties.ids[]"}}


def ids(number: int, count: int) -> list[str]:
    """Returns so many ids that no other number has."""
    return [f"{number}-{one}" for one in range(count)]


def test_an_instant_goes_when_as_many_rows_as_are_kept_follow_it() -> None:
    columns = [[1, 1, 2, 3, 3], [*"abcde"]]
    assert rows.drop_rows_beyond(columns, 5) == ()
    assert rows.drop_rows_beyond(columns, 4) == [], "only three rows follow the oldest instant"
    assert columns == [[1, 1, 2, 3, 3], [*"abcde"]]
    assert rows.drop_rows_beyond(columns, 3) == [1]
    assert columns == [[2, 3, 3], [*"cde"]]
    assert rows.drop_rows_beyond(columns, 2) == [2]
    assert columns == [[3, 3], [*"de"]]


@pytest.mark.parametrize("values", [["c", 7, b"x", "a", 1.5], [1.5, "a", "c", b"x", 7]])
def test_which_rows_of_a_full_instant_are_kept_depends_on_no_order(values: list[Any]) -> None:
    columns = [[1, *[2] * 5], ["older", *values]]
    assert rows.drop_rows_beyond(columns, 3) == [1, 2]
    assert columns[0] == [2] * 3
    assert columns[1] == [7, "a", "c"]
    assert rows.drop_older_instants(columns) == [2], "half of a single instant"
    assert columns == [[2], [7]]


def test_the_older_half_is_whole_instants() -> None:
    columns = [[1, 2, 2, 2, 3, 4], [*"abcdef"]]
    assert rows.drop_older_instants(columns) == [1, 2]
    assert columns == [[3, 4], [*"ef"]]
    unequal = [[1, 2, 2, 2], [*"abcd"]]
    assert rows.drop_older_instants(unequal) == [1], "the latest instant stays"
    assert rows.drop_older_instants([[], []]) == ()


@pytest.mark.parametrize("when", [SAME, MANY | {"distinct": {"of": "properties.ids[]", "at_least": 1}}])
def test_a_memory_has_less_than_twice_the_rows(when: dict[str, Any]) -> None:
    sections = {"measures": {"many": MANY}}
    fold = folded(when, *(at(one, ids=ids(one, 4000)) for one in range(5)), sections=sections)
    for columns in columns_of(fold):
        assert len(columns[0]) < 2 * MAX_ROWS
    assert fold.snapshots[-1].measures == {"many": 3 * 4000}
    assert fold.profile.state.dropped_events == 2


def columns_of(fold: Fold) -> list[Memory]:
    """Returns the columns of each memory, of a sequence those of each part."""
    memories = [fold.profile.state.memories[key] for key in fold.rules.kinds]
    return [columns for memory in memories for columns in (memory if len(memory[0]) == 2 else [memory])]


# Counted as events


@pytest.mark.parametrize("count", [1, 10, 50])
def test_an_event_is_dropped_once_however_many_values_it_has(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """It is dropped by both steps and by both measures."""
    max_events, max_rows = 20, 200
    monkeypatch.setattr(sequences, "MAX_EVENTS", max_events)
    monkeypatch.setattr(sequences, "MAX_ROWS", max_rows)
    monkeypatch.setattr(measure, "MAX_EVENTS", max_events)
    monkeypatch.setattr(counts, "MAX_ROWS", max_rows)
    sections = {"measures": {"many": MANY, "number": {"event": "A", "within": "1h", "count": {}}}}
    kept = min(max_events, max_rows // count)
    fold = folded(SAME, *(at(one, ids=ids(one, count)) for one in range(kept)), sections=sections)
    assert fold.profile.state.dropped_events == 0
    for one in range(kept, kept + 3):
        fold.apply(at(one, ids=ids(one, count)))
    assert fold.profile.state.dropped_events == 3
    assert fold.snapshots[-1].measures["many"] == min((kept + 3) * count, max_rows)


def test_two_events_of_one_instant_are_two() -> None:
    fold = folded({"event": "A", "within": "1h", "sum": {"of": "properties.x", "at_least": 0}})
    for number in range(MAX_EVENTS + 2):
        fold.apply(at(number // 2, x=1, message_id=f"m{number}"))
    assert fold.profile.state.dropped_events == 2


def test_what_the_size_of_a_profile_drops_counts_as_events() -> None:
    rules = rules_of({"version": 1, "measures": {"many": MANY}})
    fold = Fold(rules)
    for number in range(60):
        fold.apply(at(number, ids=[one.ljust(250, "x") for one in ids(number, 120)]))
    (columns,) = columns_of(fold)
    assert 0 < fold.profile.state.dropped_events == 60 - len(set(columns[0])) < 60


# In any order


def memory_of(kind: MemoryKind, events: list[Event]) -> tuple[Memory, int]:
    memory, profile_time_ms, dropped = kind.fresh(), START_MS, 0
    for one in events:
        profile_time_ms = max(profile_time_ms, one.timestamp_ms)
        found = kind.extract(one.name, one.message)
        if found is not None:
            dropped += len(kind.add(memory, one, found, profile_time_ms))
    return memory, dropped


def content(memory: Any) -> list[set[tuple[Any, ...]]]:
    """Returns the rows of each part of a sequence, or of a measure, without their order."""
    parts = (
        memory if isinstance(memory[0], list) and memory[0] and isinstance(memory[0][0], list) else [memory]
    )
    return [set(zip(*columns, strict=True)) for columns in parts]


some_ids = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5, unique=True)
logs = st.lists(st.tuples(st.integers(0, 9), some_ids), min_size=1, max_size=14)


@examples(150)
@given(logs, st.integers(1, 4), st.integers(0, 5), st.data())
def test_whatever_the_order_of_arrival_a_sequence_keeps_the_same_rows(
    log: list[tuple[int, list[str]]], max_events: int, more_rows: int, data: st.DataObject
) -> None:
    (kind,) = rules_for(s=SAME).kinds.values()
    events = [event(at, "A", message_id=f"m{n}", ids=found) for n, (at, found) in enumerate(log)]
    shuffled = data.draw(st.permutations(events))
    with pytest.MonkeyPatch.context() as bounds:
        bounds.setattr(sequences, "MAX_EVENTS", max_events)
        bounds.setattr(sequences, "MAX_ROWS", max_rows := max_events + more_rows)
        memory, dropped = memory_of(kind, events)
        other, other_dropped = memory_of(kind, shuffled)
        cut = data.draw(st.integers(0, len(events)))
        merged = kind.merge(memory_of(kind, shuffled[:cut])[0], memory_of(kind, shuffled[cut:])[0], START_MS)
    everything = {(one.timestamp_ms, found) for one in events for found in one.message["properties"]["ids"]}
    later = {t_ms: {other for other in everything if other[0] > t_ms} for t_ms, _ in everything}
    kept = {
        row
        for row in everything
        if len(later[row[0]]) < max_rows and len({t_ms for t_ms, _ in later[row[0]]}) < max_events
    }
    for part in (*content(memory), *content(other), *content(merged)):
        assert {t_ms for t_ms, _ in part} == {t_ms for t_ms, _ in kept}
        assert part == content(memory)[0] <= kept
        of_oldest = [t_ms for t_ms, _ in part].count(min(t_ms for t_ms, _ in part))
        assert part == kept or of_oldest == max_rows, "of a single instant, so many rows are kept"
    assert bool(dropped) == bool(other_dropped) == (content(memory)[0] != everything)


@examples(100)
@given(st.lists(some_ids, min_size=1, max_size=14), st.integers(5, 8), st.data())
def test_whatever_the_order_of_arrival_as_many_values_are_different(
    log: list[list[str]], max_rows: int, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as bounds:
        bounds.setattr(counts, "MAX_ROWS", max_rows)
        (kind,) = rules_of({"version": 1, "measures": {"many": MANY}}).kinds.values()
    events = [event(number, "A", ids=found) for number, found in enumerate(log)]
    latest = {found: one.timestamp_ms for one in events for found in one.message["properties"]["ids"]}
    kept = {
        (t_ms, found)
        for found, t_ms in latest.items()
        if sum(other_ms > t_ms for other_ms in latest.values()) < max_rows
    }
    memory, dropped = memory_of(kind, events)
    other, _ = memory_of(kind, data.draw(st.permutations(events)))
    assert content(memory) == content(other) == [kept]
    assert memory[0] == sorted(memory[0])
    assert len(kept) == len(latest) or dropped


def test_an_event_older_than_a_dropped_one_does_not_come_back() -> None:
    """After an event of many values the rows of the oldest would fit again, but it stays dropped."""
    events = [at(10, ids=ids(0, 3)), *(at(20 + one, ids=ids(1 + one, 4000)) for one in range(3))]
    ordered = folded(SAME, *events, at(0, ids=["x"]), at(5, "B", ids=["x"]))
    assert folded(SAME, at(0, ids=["x"]), at(5, "B", ids=["x"]), *events).members() == ordered.members() == {}
    assert ordered.profile.state.dropped_events == 3


def test_a_larger_memory_of_a_former_state_is_bounded_at_the_next_event() -> None:
    fold = folded(SAME, at(0, ids=["x"]))
    (key,) = fold.profile.state.memories
    old: State = fold.profile.state
    old.memories[key] = [[[START_MS + n // 40 for n in range(40_000)], [*map(str, range(40_000))]], [[], []]]
    fold.profile.state = decode(encode(old))
    fold.reopen(fold.rules)
    outcome: Outcome = fold.profile.apply(event_of(message(1, "A", ids=["new"])))
    assert outcome.dropped_events == 750
    ((times, values), _) = fold.profile.state.memories[key]
    assert (len(times), times[-1], values[-1]) == (250 * 40 + 1, START_MS + 1000, "new")
