"""The cost with many users against few users, with the same events."""

from functools import partial

from benchmarks.data import rules_text, spread_events
from benchmarks.measure import in_turn, ratios
from benchmarks.results import Figure, figure
from benchmarks.runs import step_laps
from transforms.update_profiles import UpdateProfiles, rules_of

MANY, FEW = 100_000, 1_000


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures UpdateProfiles with the same events spread over many users, and over few."""
    text = rules_text()
    rules_of(text)
    logs = {users: spread_events(events, users) for users in (MANY, FEW)}
    as_of_ms = logs[FEW][-1].timestamp_ms
    seconds = in_turn(
        {
            str(users): step_laps(log, partial(UpdateProfiles, text, as_of_ms=as_of_ms), rounds)
            for users, log in logs.items()
        },
        rounds,
    )
    many, few = ([events / one for one in seconds[str(users)]] for users in (MANY, FEW))
    return [
        figure(f"events per second: {MANY:,} users ÷ {FEW:,} users", ratios(many, few), "×", at_least=0.7),
        figure(f"UpdateProfiles with {MANY:,} users", many, "events/s"),
        figure(f"UpdateProfiles with {FEW:,} users", few, "events/s"),
    ]
