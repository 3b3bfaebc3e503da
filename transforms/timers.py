"""What a stateful step has to know of event-time timers: whether a drain fired one, and until when time runs."""

import dataclasses

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp

DRAIN_MS = 5 * 60 * 1000
"""A live timer that fires further ahead of the clock than this is fired by a drain."""
_LATEST_TIMER_MS = Timestamp.of(GlobalWindow().max_timestamp()).micros // 1000


@dataclasses.dataclass(frozen=True)
class EventTimers:
    """The rules for timers of a run.

    Args:
      as_of_ms: bounded, the end of time; None live.
    """

    as_of_ms: int | None

    def is_drain(self, fired_ms: int, now_ms: int) -> bool:
        """Returns whether a drain fired a timer, which is set for an instant that has not come yet."""
        return self.as_of_ms is None and fired_ms > now_ms + DRAIN_MS

    def time_runs_to_ms(self, fired_ms: int) -> int:
        """Returns the instant to which time runs when a timer fires.

        In a bounded run, timers fire after all events are processed, so time runs to its end at once.
        """
        return fired_ms if self.as_of_ms is None else self.as_of_ms

    def is_due(self, deadline_ms: int, armed_ms: int) -> bool:
        """Returns whether a timer has to be set for a deadline.

        Args:
          deadline_ms: the next instant at which anything changes.
          armed_ms: the instant for which the timer is set; 0 if it is not.
        """
        end_ms = _LATEST_TIMER_MS if self.as_of_ms is None else self.as_of_ms
        return deadline_ms <= end_ms and (armed_ms == 0 or deadline_ms < armed_ms)


def timer_instant(deadline_ms: int) -> Timestamp:
    """Returns the instant for which Beam's timer is set."""
    return Timestamp(micros=deadline_ms * 1000)
