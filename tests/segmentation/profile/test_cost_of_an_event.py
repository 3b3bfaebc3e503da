"""The work for one event is at most linear in the events before it, counted in executed lines, not in time."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from benchmarks.worst_event import Content, apply, chain, pairs_of_events, probes, rule_sets, state_after
from segmentation.conditions.tree import Leaf
from segmentation.memories.memory import Memory
from segmentation.profile.decisions import Decisions
from segmentation.profile.futures import ProfileFutures
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, open_profile
from tests.events import START_MS
from tests.segmentation.folding import rules_of
from tests.segmentation.pictures import at, folded

PAIRS = 20
LINEAR = 6
"""Four times as much may take this many times the lines; quadratic work takes about 16 times, cubic 64 times."""

MOST_LINES_PER_PAIR = {
    "a sequence with `then_not`, and not another": 50,
    "the same, with `same` over lists": 120,
    "a sequence broken by `for`": 25,
    "a count that flaps, and not another": 100,
    "measures with `where`": 55,
    "64 counts that flap": 140,
}
"""The most lines that an event takes for each pair of events before it, by the name of the rules.

A list that is sorted or compared whole takes one line, however long it is.
"""


def executed_lines(work: Callable[[], Any]) -> int:
    """Returns how many lines of Python the work executes, each pass of a loop or comprehension counted."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def lines_of_probes(content: Content, pairs: int) -> dict[str, int]:
    """Returns the lines for each event that the benchmark measures, after so many pairs of events."""
    rules, gap_ms = rules_of(content), 60_000
    encoded = state_after(rules, list(pairs_of_events(pairs, gap_ms)))
    return {
        name: executed_lines(partial(apply, rules, encoded, event))
        for name, event in probes(pairs, gap_ms).items()
    }


def assert_linear(few: dict[str, int], many: dict[str, int]) -> None:
    assert {name: (few[name], lines) for name, lines in many.items() if lines > LINEAR * few[name]} == {}


def test_lines_are_counted() -> None:
    def in_a_loop(passes: int) -> int:
        return executed_lines(lambda: sum(number for number in range(passes)))

    assert in_a_loop(200) - in_a_loop(100) == in_a_loop(300) - in_a_loop(200) >= 100


@pytest.mark.parametrize("name", rule_sets(PAIRS))
def test_an_event_takes_lines_that_are_linear_in_the_log(name: str) -> None:
    content = rule_sets(4 * PAIRS)[name]
    assert_linear(lines_of_probes(content, PAIRS), lines_of_probes(content, 4 * PAIRS))


@pytest.mark.parametrize("name", MOST_LINES_PER_PAIR)
def test_an_event_takes_few_lines_for_each_event_before_it(name: str) -> None:
    content = rule_sets(4 * PAIRS)[name]
    few, many = lines_of_probes(content, PAIRS), lines_of_probes(content, 4 * PAIRS)
    per_pair = {probe: (lines - few[probe]) / (3 * PAIRS) for probe, lines in many.items()}
    assert max(per_pair.values()) <= MOST_LINES_PER_PAIR[name], per_pair


def test_an_event_takes_lines_that_are_linear_in_a_chain_of_segments() -> None:
    assert_linear(lines_of_probes(chain(25), PAIRS), lines_of_probes(chain(100), PAIRS))


def test_time_takes_lines_that_are_linear_in_the_segments_that_end() -> None:
    def lines(segments: int) -> dict[str, int]:
        ends = {f"s{n}": {"when": {"event": "View", "within": f"{n + 1}m"}} for n in range(segments)}
        return lines_of_probes({"version": 1, "segments": ends}, 1)

    assert_linear(lines(100), lines(400))


def test_time_updates_the_verdict_of_a_leaf_once_and_not_at_each_change_of_a_segment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = rules_of(rule_sets(4 * PAIRS)["64 counts that flap"])
    encoded = state_after(rules, list(pairs_of_events(4 * PAIRS, 1000)))
    updated: list[int] = []
    update_verdict = Decisions.update_verdict

    def counted(self: Decisions, leaf: Leaf, memory: Memory | None, affected: set[int]) -> None:
        updated.append(leaf.key)
        update_verdict(self, leaf, memory, affected)

    monkeypatch.setattr(Decisions, "update_verdict", counted)
    profile = open_profile("ada", rules, DEFAULT_PROFILE_TTL_MS, encoded, 0)
    outcome = profile.advance(profile.state.profile_time_ms + DEFAULT_PROFILE_TTL_MS - 1)
    assert len(outcome.changes) > 10
    assert len(updated) == len(set(updated)) == 64


def test_an_event_with_an_early_change_computes_no_future_of_a_segment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Most events: a future needs all memories of the segment, and a look only those that change by then."""
    monkeypatch.setattr(ProfileFutures, "of_segment", lambda *_: pytest.fail("computed"))
    fold = folded(
        {"all": [{"event": "A", "within": "3s"}, {"event": "B", "within": "5s"}]}, at(0), at(0, "B")
    )
    fold.advance(START_MS + 9_000)
    assert fold.members() == {}
