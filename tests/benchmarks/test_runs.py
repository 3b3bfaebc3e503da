import apache_beam as beam

from benchmarks.data import repeated_events
from benchmarks.runs import step_laps
from benchmarks.sliding_windows import CountViews
from benchmarks.steps import RewriteCell

seen = []


def _see(element):
    seen.append(element)
    return element


class _SeeAll(beam.PTransform):
    def __init__(self, inner):
        super().__init__()
        self._inner = inner

    def expand(self, elements):
        return elements | self._inner | "See" >> beam.Map(_see)


def test_a_step_gets_the_keyed_events_in_order_anew_in_each_round():
    events = repeated_events(50)
    seen.clear()
    assert len(list(step_laps(events, lambda: beam.Map(_see), rounds=2))) == 2
    assert seen == [(event.profile_id, event) for event in events] * 2


def test_the_bare_cell_emits_nothing():
    seen.clear()
    list(step_laps(repeated_events(50), lambda: _SeeAll(RewriteCell(100)), rounds=1))
    assert seen == []


def test_sliding_windows_count_each_view_in_ten_windows():
    seen.clear()
    events = repeated_events(50)
    list(step_laps(events, lambda: _SeeAll(CountViews()), rounds=1, timestamped=True))
    assert sum(count for _, count in seen) == 10 * len(events)
