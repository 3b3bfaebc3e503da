"""One sliding count, by UpdateProfiles and by Beam's SlidingWindows."""

from functools import partial

import apache_beam as beam
from apache_beam.transforms.window import SlidingWindows

from benchmarks.data import repeated_events
from benchmarks.measure import in_turn, ratios
from benchmarks.results import Figure, figure
from benchmarks.runs import step_laps
from segmentation.events import Event
from transforms.update_profiles import UpdateProfiles, rules_of

MAX_EVENTS = 30_000
"""The limit of events: SlidingWindows has ten copies of each, and more events would only take longer."""
RULES_TEXT = """
version: 1
segments:
  keen_viewer:
    when: {event: Product Viewed, within: 10m, count: {at_least: 3}}
"""


class CountViews(beam.PTransform):
    """Counts each user's events over the last 10 minutes, every minute."""

    def expand(self, events: beam.PCollection[tuple[str, Event]]) -> beam.PCollection[tuple[str, int]]:
        windowed = events | beam.WindowInto(SlidingWindows(size=600, period=60))
        return windowed | beam.combiners.Count.PerKey()


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures both on the same views."""
    views = [event for event in repeated_events(min(events, MAX_EVENTS)) if event.name == "Product Viewed"]
    as_of_ms = views[-1].timestamp_ms
    rules_of(RULES_TEXT)
    seconds = in_turn(
        {
            "update": step_laps(views, partial(UpdateProfiles, RULES_TEXT, as_of_ms=as_of_ms), rounds),
            "sliding": step_laps(views, CountViews, rounds, timestamped=True),
        },
        rounds,
    )
    update, sliding = ([one / len(views) * 1e6 for one in seconds[name]] for name in ("update", "sliding"))
    return [
        figure("a sliding count: SlidingWindows ÷ UpdateProfiles", ratios(sliding, update), "×", at_least=5),
        figure(f"SlidingWindows(600, 60), {len(views):,} views", sliding, "µs per event"),
        figure(f"UpdateProfiles with that count only, {len(views):,} views", update, "µs per event"),
    ]
