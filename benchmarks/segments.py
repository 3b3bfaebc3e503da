"""The cost of a thousand more segments, about events that do not occur."""

from functools import partial
from typing import Any

import yaml

from benchmarks.data import repeated_events, rules_text
from benchmarks.fold import fold_laps, sliced
from benchmarks.measure import in_turn, ratios
from benchmarks.results import Figure, figure
from benchmarks.runs import step_laps
from transforms.update_profiles import UpdateProfiles, rules_of

ADDED = 1_000


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the pure fold and UpdateProfiles with the definitions alone, and with the others added."""
    log = repeated_events(events)
    slices, as_of_ms = list(sliced(log)), log[-1].timestamp_ms
    texts: dict[str, str] = {"plain": rules_text(), "more": with_more_segments(rules_text(), ADDED)}
    fold = in_turn(
        {name: fold_laps(slices, rules_of(text), rounds) for name, text in texts.items()}, rounds, len(slices)
    )
    step = in_turn(
        {
            name: step_laps(log, partial(UpdateProfiles, text, as_of_ms=as_of_ms), rounds)
            for name, text in texts.items()
        },
        rounds,
    )
    return [
        figure(
            f"{ADDED:,} added segments: time of {work}",
            ratios(taken["more"], taken["plain"]),
            "×",
            at_most=1.1,
        )
        for work, taken in (("the pure fold", fold), ("UpdateProfiles", step))
    ]


def with_more_segments(text: str, added: int) -> str:
    """Returns definitions with generated segments added, in several forms, about events that nobody sends."""
    document = yaml.safe_load(text)
    for index in range(added):
        document["segments"][f"added_{index}"] = {"when": _condition(index)}
    return yaml.safe_dump(document, sort_keys=False)


def _condition(index: int) -> dict[str, Any]:
    event, other = f"Added Event {index}", f"Added Event {index + 1}"
    amount = {"of": "properties.price", "at_least": 100}
    average = {"event": event, "within": "30d", "average": amount}
    forms: list[dict[str, Any]] = [
        {"event": event, "within": "1h", "count": {"at_least": 3}},
        {"event": event, "within": "7d", "distinct": {"of": "properties.product_id", "at_least": 3}},
        {"event": event, "within": "24h", "sum": amount},
        {"sequence": [{"event": event}, {"event": other}], "within": "30m"},
        {"all": [average, {"not": {"event": other, "within": "1h"}}]},
    ]
    return forms[index % len(forms)]
