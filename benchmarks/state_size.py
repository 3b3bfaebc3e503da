"""The size of a profile's state in bytes."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.data import repeated_events, rules_text
from benchmarks.fold import Fold
from benchmarks.results import Figure, figure
from segmentation.rules.load import load_rules

BUSY_EVENTS = 20


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the encoded states after the whole log; the same in every round, so that there is one."""
    log = repeated_events(events)
    fold = Fold(load_rules(rules_text()), as_of_ms=log[-1].timestamp_ms)
    fold.take(log)
    events_of = Counter(event.profile_id for event in log)
    sizes = {profile_id: len(state) for profile_id, state in fold.states.items()}
    busy = [size for profile_id, size in sizes.items() if events_of[profile_id] >= BUSY_EVENTS]
    return [
        *_sizes(f"all {len(sizes):,} profiles", list(sizes.values())),
        *_sizes(f"the {len(busy):,} profiles with {BUSY_EVENTS} events or more", busy),
    ]


def _sizes(whose: str, sizes: Sequence[int]) -> list[Figure]:
    ascending = sorted(sizes) or [0]
    return [
        figure(f"encoded state of {whose}: {name}", [ascending[round(share * (len(ascending) - 1))]], "bytes")
        for name, share in (("p50", 0.5), ("p99", 0.99), ("maximum", 1.0))
    ]
