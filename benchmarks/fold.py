"""The pure fold: the cost of a decision without a pipeline."""

from collections.abc import Iterator, Sequence
from functools import partial

import orjson

from benchmarks.data import repeated_events, rules_text
from benchmarks.measure import Laps, in_turn, ratios, timed
from benchmarks.results import Figure, figure
from segmentation.events import Event, parse_event
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, Profile, open_profile
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules

SLICE_EVENTS = 10_000


class Fold:
    """Folds events into encoded states: what the step `UpdateProfiles` does with a log, over a dict."""

    def __init__(self, rules: Rules, as_of_ms: int) -> None:
        self.states: dict[str, bytes] = {}
        self._rules = rules
        self._as_of_ms = as_of_ms
        self._due: set[str] = set()

    def take(self, events: Sequence[Event], is_last: bool = True) -> None:
        """Processes the next events: decode, apply, deadline, encode; after the last one, processes due timers."""
        for event in events:
            profile = self._open(event.profile_id)
            profile.apply(event)
            if profile.deadline() <= self._as_of_ms:
                self._due.add(event.profile_id)
            self.states[event.profile_id] = profile.encode()
        if is_last:
            for profile_id in self._due:
                profile = self._open(profile_id)
                profile.advance(self._as_of_ms)
                self.states[profile_id] = profile.encode()

    def _open(self, profile_id: str) -> Profile:
        return open_profile(profile_id, self._rules, DEFAULT_PROFILE_TTL_MS, self.states.get(profile_id), 0)


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the pure fold, and the parsing of the same lines to compare it with."""
    log = repeated_events(events)
    slices = list(sliced(log))
    seconds = in_turn(
        {
            "fold": fold_laps(slices, load_rules(rules_text()), rounds),
            "parse": (timed(partial(_parse, piece)) for _ in range(rounds) for piece in slices),
            "loads": (timed(partial(_load, piece)) for _ in range(rounds) for piece in slices),
        },
        rounds,
        len(slices),
    )
    fold, parse, loads = (_microseconds(seconds[name], events) for name in ("fold", "parse", "loads"))
    return [
        figure("pure fold: decode, apply, deadlines, encode", fold, "µs per event", at_most=45),
        figure("pure fold ÷ orjson.loads of the line", ratios(fold, loads), "×"),
        figure("orjson.loads of the line", loads, "µs per event"),
        figure("parse_event of the line", parse, "µs per event"),
    ]


def sliced(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Yields the events in slices, so that folds can take turns."""
    for start in range(0, len(events), SLICE_EVENTS):
        yield events[start : start + SLICE_EVENTS]


def fold_laps(slices: Sequence[Sequence[Event]], rules: Rules, rounds: int) -> Laps:
    """Folds the log anew in every round, a slice per lap."""
    for _ in range(rounds):
        fold = Fold(rules, as_of_ms=slices[-1][-1].timestamp_ms)
        for index, piece in enumerate(slices, 1):
            yield timed(partial(fold.take, piece, is_last=index == len(slices)))


def _parse(events: Sequence[Event]) -> None:
    for event in events:
        parse_event(event.payload)


def _load(events: Sequence[Event]) -> None:
    for event in events:
        orjson.loads(event.payload)


def _microseconds(seconds: Sequence[float], events: int) -> list[float]:
    return [one / events * 1e6 for one in seconds]
