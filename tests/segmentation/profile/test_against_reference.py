"""The core against the brute-force evaluator, over random rules and logs whose events meet at window edges.

The core takes each log event by event through its own `apply`, in order of arrival. What it must say is decided by
the reference from all of the events at once.
"""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.events import Event
from segmentation.memberships import Change
from segmentation.memories.measures import Measure, coalesced
from segmentation.memories.memory import Memory, MemoryKind
from segmentation.memories.scores import Score
from segmentation.memories.sequences import Sequence
from segmentation.memories.traits import Trait
from segmentation.rules.compiled import Rules
from segmentation.timestamps import NEVER
from tests.reference import evaluator
from tests.reference.evaluator import Reference
from tests.reference.strategies import BASE_MS, DURATIONS_MS, LAST_MS, arrivals, message_logs, rule_files
from tests.segmentation.folding import (
    NOW_MS,
    Fold,
    assert_same_value,
    assert_serves,
    content_of,
    event_of,
    examples,
    expected_members,
    few_or_many,
    rules_of,
    spans_of,
    time_of,
)

LONGEST_MS = max(DURATIONS_MS.values())

Message = dict[str, Any]
Content = dict[str, Any]


def end_of(log: list[Message]) -> int:
    """Long after the last event: every window, and every wait after it, is over; at the latest the end of 9999."""
    return min(max(map(time_of, log), default=BASE_MS) + 2 * LONGEST_MS, LAST_MS)


def pauses(after_ms: int, before_ms: int) -> st.SearchStrategy[list[int]]:
    """Instants between two events, on edges of windows more often than not."""
    edges = [after_ms + length + nudge for length in DURATIONS_MS.values() for nudge in (-1, 0, 1)]
    inside = [t_ms for t_ms in edges if after_ms < t_ms < before_ms]
    if before_ms - after_ms < 2:
        return st.just([])
    one = st.integers(after_ms + 1, before_ms - 1)
    return st.lists(st.sampled_from(inside) | one if inside else one, max_size=2).map(sorted)


def first_accepted(messages: list[Message]) -> list[Message]:
    """Returns the message that arrived first of each messageId."""
    first: dict[str, Message] = {}
    for message in messages:
        first.setdefault(message["messageId"], message)
    return list(first.values())


@st.composite
def arrivals_with_impostors(draw: st.DrawFn, log: list[Message]) -> list[Message]:
    """The messages of a log in any order, some repeated, and some with the content of another under their id."""
    arrived = draw(arrivals(log))
    for position in draw(st.lists(st.sampled_from(range(len(arrived))), max_size=2)) if arrived else ():
        arrived[position] = draw(st.sampled_from(log)) | {"messageId": arrived[position]["messageId"]}
    return arrived


@few_or_many(30, 1500)
def test_in_order_the_history_holds_exactly_the_intervals(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), reopened=st.booleans())
    def check(content: Content, log: list[Message], reopened: bool) -> None:
        reference, fold = Reference(content, log), Fold(rules_of(content), reopened)
        as_of_ms = end_of(log)
        fold.apply_all(log)
        fold.advance(as_of_ms)
        last_of_instant = {time_of(message): message["messageId"] for message in log}
        for name in content["segments"]:
            assert spans_of(fold.changes, name) == reference.intervals(name, as_of_ms), name
        for change in fold.changes:
            assert change.cause in ("event", "time")
            assert (change.message_id is None) == (change.cause == "time")
            assert not change.correction
            if change.change == "entered" and last_of_instant.get(change.event_time_ms) == change.message_id:
                expires_at_ms = reference.expires_at(change.segment, change.event_time_ms)
                assert change.expires_at_ms == expires_at_ms
        assert not any(
            outcome.late or outcome.repeated or outcome.dropped_events for outcome in fold.outcomes
        )
        assert fold.members() == expected_members(reference, content["segments"], as_of_ms)

    check()


@few_or_many(30, 1500)
def test_what_is_served_is_right_after_every_event_and_at_instants_between(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        reference, fold = Reference(content, log), Fold(rules_of(content))
        instants = sorted(set(map(time_of, log)))
        for t_ms, next_ms in pairwise([*instants, end_of(log)]):
            fold.apply_all(message for message in log if time_of(message) == t_ms)
            assert_serves(fold.snapshots[-1], reference, content, t_ms)
            for pause_ms in data.draw(pauses(t_ms, next_ms)):
                fold.advance(pause_ms)
                assert fold.members() == expected_members(reference, content["segments"], pause_ms)

    check()


@few_or_many(30, 1500)
def test_in_any_order_and_any_number_of_times_the_end_is_the_same(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), reopened=st.booleans(), data=st.data())
    def check(content: Content, log: list[Message], reopened: bool, data: st.DataObject) -> None:
        arrived = data.draw(arrivals_with_impostors(log))
        fold = Fold(rules_of(content), reopened)
        cut = data.draw(st.integers(0, len(arrived)))
        fold.apply_all(arrived[:cut])
        if cut:
            profile_time_ms = max(map(time_of, first_accepted(arrived[:cut])))
            assert_serves(fold.snapshots[-1], Reference(content, arrived[:cut]), content, profile_time_ms)
        fold.apply_all(arrived[cut:])
        accepted = first_accepted(arrived)
        reference = Reference(content, accepted)
        latest_ms, end_ms = max(map(time_of, accepted), default=BASE_MS), end_of(log)
        for t_ms in [latest_ms, *data.draw(pauses(latest_ms, end_ms)), end_ms]:
            fold.advance(t_ms)
            assert fold.members() == expected_members(reference, content["segments"], t_ms)
        assert sum(outcome.repeated for outcome in fold.outcomes) == len(arrived) - len(accepted)
        for change in fold.changes:
            assert change.correction == (change.cause == "late_event")
        for name in content["segments"]:
            is_open = [exited is None for _, exited in spans_of(fold.changes, name)][-1:] == [True]
            assert is_open == (name in fold.members())

    check()


@few_or_many(20, 1000)
def test_encoding_between_events_changes_nothing(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        rules, arrived = rules_of(content), data.draw(arrivals(log))
        kept, reopened = Fold(rules), Fold(rules, reopened=True)
        for message in arrived:
            assert kept.apply(message) == reopened.apply(message)
        for t_ms in [*data.draw(pauses(end_of(log) - LONGEST_MS, end_of(log))), end_of(log)]:
            assert kept.advance(t_ms) == reopened.advance(t_ms)
            assert kept.profile.deadline() == reopened.profile.deadline()

    check()


@few_or_many(30, 1500)
def test_timers_at_deadlines_and_at_any_instant_change_no_interval(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), timer_first=st.booleans(), data=st.data())
    def check(content: Content, log: list[Message], timer_first: bool, data: st.DataObject) -> None:
        reference, fold = Reference(content, log), Fold(rules_of(content))
        profile_time_ms = min(map(time_of, log), default=BASE_MS) - LONGEST_MS
        for t_ms, message in [*((time_of(message), message) for message in log), (end_of(log), None)]:
            wakings = data.draw(pauses(profile_time_ms, t_ms)) if profile_time_ms < t_ms else []
            for waking_ms in wakings:
                fold.advance(waking_ms)
            while (deadline_ms := fold.profile.deadline()) < t_ms + timer_first:
                assert fold.advance(deadline_ms).changes
            if message is not None:
                fold.apply(message)
            profile_time_ms = t_ms
        fold.advance(profile_time_ms)
        for name in content["segments"]:
            assert spans_of(fold.changes, name) == reference.intervals(name, profile_time_ms)

    check()


@few_or_many(20, 1000)
def test_the_deadline_is_never_later_than_the_next_change(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        known = data.draw(arrivals(log))[: data.draw(st.integers(0, len(log)))]
        fold = Fold(rules_of(content)).apply_all(known)
        reference, end_ms = Reference(content, known), end_of(log)
        t_ms = max(map(time_of, known), default=BASE_MS)
        for pause_ms in [t_ms, *data.draw(pauses(t_ms, end_ms))]:
            fold.advance(pause_ms)
            spans = [span for name in content["segments"] for span in reference.intervals(name, end_ms)]
            edges = [edge for span in spans for edge in span if edge is not None and edge > pause_ms]
            assert fold.profile.deadline() <= min(edges, default=NEVER)

    check()


@few_or_many(30, 1500)
def test_versions_ids_and_snapshots(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        fold, again = Fold(rules_of(content)), Fold(rules_of(content), now_ms=NOW_MS + 86_400_000)
        written, version = None, fold.profile.state.version
        profile_time_ms = min(map(time_of, log), default=BASE_MS)
        for message in data.draw(arrivals_with_impostors(log)):
            steps = [fold.apply(message)]
            again.apply(message)
            profile_time_ms = max(profile_time_ms, fold.profile.state.profile_time_ms)
            for pause_ms in data.draw(pauses(profile_time_ms, profile_time_ms + LONGEST_MS)):
                steps.append(fold.advance(pause_ms))
                again.advance(pause_ms)
            for outcome in steps:
                for change in outcome.changes:
                    assert change.profile_version > version
                    version = change.profile_version
                assert not (outcome.changes and outcome.snapshot is None)
                if outcome.snapshot is not None:
                    assert outcome.snapshot.version == version or not outcome.changes
                    assert outcome.snapshot.version >= version + (not outcome.changes)
                    version = outcome.snapshot.version
                    assert outcome.changes or content_of(outcome.snapshot) != written
                    written = content_of(outcome.snapshot)
            assert all(outcome.snapshot is None or outcome.changes for outcome in steps[1:])
        ids = [change.change_id for change in fold.changes]
        assert len(set(ids)) == len(ids)
        assert ids == [change.change_id for change in again.changes]
        assert [change.event_time_ms for change in fold.changes] == [
            change.event_time_ms for change in again.changes
        ]
        assert sum(outcome.momentary_memberships for outcome in fold.outcomes) == momentary_in(fold.changes)

    check()


def momentary_in(changes: list[Change]) -> int:
    """Returns how many exits are at the instant of their entry."""
    entered_at_ms: dict[str, int] = {}
    count = 0
    for change in changes:
        if change.change == "entered":
            entered_at_ms[change.segment] = change.event_time_ms
        else:
            count += entered_at_ms.pop(change.segment) == change.event_time_ms
    return count


# Memories of disjoint sets of events


def memory_of(kind: MemoryKind, events: list[Event]) -> Memory:
    """Returns the memory of events, in order of arrival, at the latest of their times."""
    memory, profile_time_ms = kind.fresh(), -NEVER
    for event in events:
        profile_time_ms = max(profile_time_ms, event.timestamp_ms)
        if event.name in kind.names or "*" in kind.names:
            found = kind.extract(event.name, event.message)
            if found is not None:
                kind.add(memory, event, found, profile_time_ms)
    return memory


def assert_alike(kind: MemoryKind, memory: Memory, expected: Memory, t_ms: int) -> None:
    """Asserts that two memories give the same values from an instant on."""
    if isinstance(kind, Measure):
        got, due = ([*coalesced(kind.timeline(one, t_ms))] for one in (memory, expected))
        assert [instant_ms for instant_ms, _ in got] == [instant_ms for instant_ms, _ in due]
        for (_, value), (_, expected_value) in zip(got, due, strict=True):
            assert_same_value(value, expected_value)
    elif isinstance(kind, Sequence):
        got_changes, due_changes = (
            [change_ms for change_ms in kind.changes(one) if change_ms > t_ms] for one in (memory, expected)
        )
        assert got_changes == due_changes
    elif isinstance(kind, Score):
        assert bool(memory[1:]) == bool(expected[1:])
        if memory[1:]:
            assert kind.value_at(memory, t_ms) == pytest.approx(
                kind.value_at(expected, t_ms), rel=1e-12, abs=1e-12
            )
            got_value, due_value = kind.public_value(memory), kind.public_value(expected)
            assert got_value is not None
            assert due_value is not None
            assert got_value[1] == due_value[1]
    else:
        assert isinstance(kind, Trait)
        assert memory == expected


@few_or_many(30, 1500)
def test_memories_of_disjoint_sets_of_events_merge(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        rules, events = rules_of(content), [event_of(message) for message in data.draw(st.permutations(log))]
        is_ours = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
        ours = [event for event, is_one in zip(events, is_ours, strict=True) if is_one]
        theirs = [event for event, is_one in zip(events, is_ours, strict=True) if not is_one]
        profile_time_ms = max(map(time_of, log), default=BASE_MS)
        for kind in rules.kinds.values():
            merged = kind.merge(memory_of(kind, ours), memory_of(kind, theirs), profile_time_ms)
            merged = msgspec.msgpack.decode(msgspec.msgpack.encode(merged))
            whole = memory_of(kind, events)
            assert_alike(kind, merged, whole, profile_time_ms)
            for leaf in rules.leaves_of_kind.get(kind.key, ()):
                assert leaf.of_memory(merged, profile_time_ms) == leaf.of_memory(whole, profile_time_ms)

    check()


# Under edited rules


def renamed(content: Content, prefix: str) -> Content:
    """The same rules, with a prefix before every name that they give."""

    def rename(value: Any) -> Any:
        if isinstance(value, list):
            return [rename(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: prefix + inner
            if key in ("measure", "score", "segment") and isinstance(inner, str)
            else rename(inner)
            for key, inner in value.items()
        }

    named: Content = {
        section: {prefix + name: rename(inner) for name, inner in content[section].items()}
        for section in ("measures", "scores", "segments")
        if section in content
    }
    return {**content, **named}


def segments_referred_to(condition: Any) -> set[str]:
    if isinstance(condition, list):
        return set().union(*map(segments_referred_to, condition))
    if not isinstance(condition, dict):
        return set()
    own = {condition["segment"]} if isinstance(condition.get("segment"), str) else set()
    return own.union(*map(segments_referred_to, condition.values()))


@st.composite
def edited_files(draw: st.DrawFn) -> tuple[Content, Content]:
    """Two rules files that have some segments in common, and some of one name with different conditions."""
    pool: Content = {"version": 1, "measures": {}, "scores": {}, "segments": {}, "export_traits": []}
    for prefix in ("a_", "b_"):
        for section, inner in renamed(draw(rule_files(max_segments=3)), prefix).items():
            if isinstance(inner, dict):
                pool[section] |= inner
            elif section == "export_traits":
                pool[section] = sorted({*pool[section], *inner})

    names = st.lists(st.sampled_from(sorted(pool["segments"])), min_size=1, unique=True)

    def part() -> Content:
        chosen = set(draw(names))
        while more := segments_referred_to([pool["segments"][name] for name in chosen]) - chosen:
            chosen |= more
        segments = {name: pool["segments"][name] for name in draw(st.permutations(sorted(chosen)))}
        return pool | {"segments": segments}

    before: Content = part()
    after: Content = part()
    free = sorted(set(pool["segments"]) - set(after["segments"]))
    if draw(st.booleans()) and free:  # another condition under a name that stood in the file before
        after = {**after, "segments": after["segments"] | {free[0]: {"when": {"event": "Order Completed"}}}}
    if draw(st.booleans()):  # fewer things are served
        used = json.dumps(after["segments"])
        after = {
            **after,
            "measures": {name: pool["measures"][name] for name in pool["measures"] if name in used},
        }
    return before, after


def kinds_of(rules: Rules, name: str) -> set[int]:
    """Returns the keys of the memories of a segment's condition and of everything that it refers to."""
    segment = rules.segment_by_name[name]
    kinds = {rules.leaves[key].kind.key for key in segment.leaves}
    return kinds.union(*(kinds_of(rules, rules.segments[index].name) for index in segment.refers_to))


@few_or_many(30, 1500)
def test_state_opens_under_edited_rules(count):
    """Arrivals under file A, then under B, then under A again:

    unchanged conditions keep what they know, new ones start empty, dropped ones are forgotten.
    """

    @examples(count)
    @given(files=edited_files(), log=message_logs(), data=st.data())
    def check(files: tuple[Content, Content], log: list[Message], data: st.DataObject) -> None:
        before, after = files
        first_edit, second_edit = sorted(data.draw(st.tuples(*[st.integers(0, len(log))] * 2)))
        parts = [log[:first_edit], log[first_edit:second_edit], log[second_edit:]]
        fold = Fold(rules_of(before), reopened=data.draw(st.booleans()))
        fold.apply_all(parts[0])
        known_from = dict.fromkeys(fold.rules.kinds, 0)
        for number, content in enumerate((after, before), start=1):
            old, rules = fold.rules, rules_of(content)
            members, profile_time_ms = fold.members(), fold.profile.state.profile_time_ms
            fold.reopen(rules)
            edit = fold.advance(profile_time_ms)  # the edit alone, at the profile time
            versions = {segment.name: segment.version for segment in old.segments}
            is_kept = {
                segment.name: versions.get(segment.name) == segment.version for segment in rules.segments
            }
            for change in edit.changes:
                assert (change.cause, change.event_time_ms) == ("rules", profile_time_ms)
                assert not is_kept.get(change.segment, False)
            kept = {name: leaves_at_ms for name, leaves_at_ms in members.items() if is_kept.get(name)}
            now = fold.members()
            assert {name: leaves_at_ms for name, leaves_at_ms in now.items() if is_kept.get(name)} == kept
            assert set(now) <= set(content["segments"])
            so_far = sum(map(len, parts[:number]))
            known_from = {kind: known_from.get(kind, so_far) for kind in rules.kinds}
            fold.apply_all(parts[number])
            fold.advance(end_of(log) if number == 2 else fold.profile.state.profile_time_ms)
            t_ms = end_of(log) if number == 2 else fold.profile.state.profile_time_ms
            for name in content["segments"]:
                starts = {known_from[kind] for kind in kinds_of(rules, name)}
                if len(starts) != 1:
                    continue
                known = log[starts.pop() : so_far + len(parts[number])]
                if known:
                    reference = Reference(content, known)
                    assert (name in fold.members()) == reference.member(name, t_ms), name
                    assert fold.members().get(name) == reference.expires_at(name, t_ms)
        for name in before["segments"]:
            spans_of(fold.changes, name)

    check()


@st.composite
def rewritten(draw: st.DrawFn, content: Content) -> Content:
    """Returns equivalent definitions, written differently."""
    measures = dict(content.get("measures", {}))

    def rewrite(condition: Any) -> Any:
        for form in ("all", "any"):
            if form in condition:
                return {form: [rewrite(inner) for inner in draw(st.permutations(condition[form]))]}
        if "not" in condition:
            return {"not": rewrite(condition["not"])}
        if "segment" in condition and draw(st.booleans()):
            return rewrite(content["segments"][condition["segment"]]["when"])
        if isinstance(condition.get("then_not"), list):
            return {**condition, "then_not": draw(st.permutations(condition["then_not"]))}
        if isinstance(condition.get("then_not"), dict):
            return {**condition, "then_not": [condition["then_not"]]}
        if "measure" in condition and draw(st.booleans()):
            measure = measures[condition["measure"]]
            kind, spec = evaluator.measure_of(measure)
            return {**measure, kind: spec | evaluator.tests_of(condition)}
        if "event" in condition and draw(st.booleans()):
            kind, spec = evaluator.measure_of(condition)
            name = f"named_{len(measures)}"
            measures[name] = {**condition, kind: {key: spec[key] for key in spec if key == "of"}}
            return {"measure": name, **evaluator.tests_of(spec)}
        return condition

    segments = {
        name: {"description": "the same", "when": rewrite(content["segments"][name]["when"])}
        for name in draw(st.permutations(sorted(content["segments"])))
    }
    return {**content, "segments": segments, "measures": measures}


@few_or_many(30, 1500)
def test_the_same_rules_written_differently_change_nothing(count):
    @examples(count)
    @given(content=rule_files(), log=message_logs(), data=st.data())
    def check(content: Content, log: list[Message], data: st.DataObject) -> None:
        fold, reference = Fold(rules_of(content)), Reference(content, log)
        edit = data.draw(st.integers(0, len(log)))
        fold.apply_all(log[:edit])
        rules = rules_of(data.draw(rewritten(content)))
        versions = {segment.name: segment.version for segment in fold.rules.segments}
        assert versions == {segment.name: segment.version for segment in rules.segments}
        fold.reopen(rules)
        assert fold.advance(fold.profile.state.profile_time_ms).changes == []
        fold.apply_all(log[edit:])
        fold.advance(end_of(log))
        for name in content["segments"]:
            assert spans_of(fold.changes, name) == reference.intervals(name, end_of(log))

    check()
