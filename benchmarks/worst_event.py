"""The most processor time that one event takes, searched over rules and logs at the bounds of each condition."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import orjson

from benchmarks.measure import timed
from benchmarks.results import Figure, figure
from segmentation.events import Event, parse_event
from segmentation.memories.rows import MAX_EVENTS
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile, open_profile
from segmentation.profile.state import State
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.timestamps import format_timestamp

_START_MS = 1_700_000_000_000
_MINUTE_MS = 60_000
_YEAR_MS = 365 * 86_400_000
_NUMBER = "properties.number"
Content = dict[str, Any]

GAPS_MS = {"one instant": 0, "a second apart": 1000, "a minute apart": _MINUTE_MS}
"""The logs: how far the events of a pair are from those of the next."""


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures each set of rules with the log and the event that take most, and with half of the log."""
    pairs = max(8, min(MAX_EVENTS, events // 300))
    figures = []
    for name, content in rule_sets(pairs).items():
        rules = load_rules(orjson.dumps(content).decode())
        worst_ms = [0.0]
        worst = ""
        for gap_name, gap_ms in GAPS_MS.items():
            encoded = state_after(rules, list(pairs_of_events(pairs, gap_ms)))
            for probe_name, probe in probes(pairs, gap_ms).items():
                taken_ms = [1000 * timed(partial(apply, rules, encoded, probe)) for _ in range(rounds)]
                if min(taken_ms) > min(worst_ms):
                    worst_ms, worst = taken_ms, f"{gap_name}, {probe_name}"
        figures.append(figure(f"{name} ({worst})", worst_ms, "ms", at_most=5))
    return figures


def rule_sets(pairs: int) -> dict[str, Content]:
    """Returns rules by their name, each with a kind of condition at its bounds."""
    flapping = list(range(1, pairs, 2))
    where = {"where": {_NUMBER: {"at_least": -10}}}
    view = {"event": "View", "within": "30d", **where}
    bought = _sequence("Buy", "24h1m", "during", "24h")
    paid = _sequence("Pay", "24h1m", "during", "24h")
    counted: Content = {**view, "count": {"in": flapping}}
    of_values = {"at_least": 2, "of": _NUMBER}
    measures: Content = {
        "any": [
            {"not": {**view, "average": {"of": _NUMBER, "more_than": 0}}},
            {**view, "sum": {"of": _NUMBER, "more_than": 0}},
            {"all": [{**view, "max": of_values}, {**view, "first": {"of": _NUMBER, "in": [0, 1]}}]},
            {**view, "distinct": {"of": "properties.values", "in": flapping}},
        ]
    }
    decay = {"interest": {"half_life": "1h", "earn": [{"event": "View", "points": 1}]}}
    return {
        "a sequence with `then_not`, and not another": _segments({"all": [bought, {"not": paid}]}),
        "the same, with `same` over lists": _segments(
            {
                "all": [
                    bought | {"same": "properties.values[]"},
                    {"not": paid | {"same": "properties.values[]"}},
                ]
            }
        ),
        "a sequence broken by `for`": _segments(_sequence("Buy", "24h1m", "for", "1m")),
        "a count that flaps, and not another": _segments(
            {"any": [counted, {"not": {**counted, "within": "29d"}}]}
        ),
        "measures with `where`": _segments(measures),
        "a score with 1,000 bounds": {
            "version": 1,
            "scores": decay,
            "segments": {"s": {"when": {"score": "interest", "in": [n / 50 for n in range(1, 1001)]}}},
        },
        "64 counts that flap": _segments({"any": [_flapping(n, flapping) for n in range(64)]}),
        "100 segments, each refers to the one before": chain(100),
    }


def chain(levels: int) -> Content:
    """Returns segments that each refer to the one before."""
    segments: Content = {"s0": {"when": {"event": "View", "within": "1m"}}}
    for number, (before, name) in enumerate(pairwise(f"s{level}" for level in range(levels))):
        own = {"event": "Buy", "within": f"{number + 2}m"}
        segments[name] = {"when": {"any": [{"segment": before}, own]}}
    return {"version": 1, "segments": segments}


def pairs_of_events(pairs: int, gap_ms: int) -> Iterator[Event]:
    """Yields views, each followed by events that complete sequences."""
    for number in range(pairs):
        begin_ms = _START_MS + number * gap_ms
        yield _event(begin_ms, "View", number)
        for name in ("Buy", "Pay"):
            yield _event(begin_ms + min(gap_ms // 2, 500), name, number)


def probes(pairs: int, gap_ms: int) -> dict[str, Event]:
    """Returns the events to measure: the next one, a late one, and one after every window has passed."""
    end_ms = _START_MS + pairs * gap_ms
    return {
        "next event": _event(end_ms, "View", -1),
        "late event": _event(_START_MS + pairs * gap_ms // 2 + 1, "View", -1),
        "event a year later": _event(end_ms + _YEAR_MS, "View", -1),
    }


def state_after(rules: Rules, log: list[Event]) -> bytes:
    """Returns the encoded state after a log, decided once at its end."""
    end_ms = log[-1].timestamp_ms
    state = State(0, end_ms, end_ms, "")
    state.memories = {key: kind.fresh() for key, kind in rules.kinds.items()}
    for event in log:
        for kind, *_ in rules.affected_by(event.name).memories:
            found = kind.extract(event.name, event.message)
            if found is not None:
                kind.add(state.memories[kind.key], event, found, end_ms)
    profile = Profile("ada", rules, DEFAULT_PROFILE_TTL_MS, state, _START_MS)
    profile.advance(end_ms)
    return profile.encode()


def apply(rules: Rules, encoded: bytes, event: Event) -> bytes:
    """Applies an event to an encoded state, as the job does; returns the state afterwards."""
    profile = open_profile("ada", rules, DEFAULT_PROFILE_TTL_MS, encoded, _START_MS)
    profile.apply(event)
    return profile.encode()


def _segments(when: Content) -> Content:
    return {"version": 1, "segments": {"s": {"when": when}}}


def _sequence(last: str, within: str, how: str, duration: str) -> Content:
    return {
        "sequence": [{"event": "View"}, {"event": last}],
        "within": within,
        "then_not": [{"event": "Refund", how: duration}],
    }


def _flapping(number: int, counts: list[int]) -> Content:
    count = {"event": "View", "within": f"{172_800 + number}s", "count": {"in": counts}}
    return {"not": count} if number % 2 else count


def _event(timestamp_ms: int, name: str, number: int) -> Event:
    return parse_event(
        orjson.dumps(
            {
                "type": "track",
                "event": name,
                "userId": "ada",
                "messageId": f"{name} {number}",
                "timestamp": format_timestamp(timestamp_ms),
                "properties": {"number": number % 3 - 1, "values": [number % 7, number % 11, number]},
            }
        )
    )
