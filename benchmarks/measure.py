"""Measures and compares processor times: contestants run in turns, and each ratio is of one round."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

Laps = Iterator[float]
"""Does a piece of work for each item, and yields the processor seconds that it took."""
_NEVER = 1 << 30


def processor_seconds() -> float:
    """Returns the processor time of this process; other programs do not count."""
    return time.process_time()


def timed(work: Callable[[], object]) -> float:
    """Returns the processor seconds that the work takes."""
    settle_garbage()
    started = processor_seconds()
    work()
    return processor_seconds() - started


def settle_garbage() -> None:
    """Collects garbage, and excludes the objects that exist now (the input) from collection until `in_turn` ends."""
    gc.collect()
    gc.freeze()


def in_turn(contestants: Mapping[str, Laps], rounds: int, laps: int = 1) -> dict[str, list[float]]:
    """Returns the seconds of each contestant in each round.

    One lap of each after the other, the order reversed every time, so that a machine that grows slower
    or faster meets all of them. Garbage is collected as ever while it is young. A full collection, which
    walks whatever there is, and so the more the longer the log, comes between laps only.

    Args:
      contestants: name to laps; they yield `rounds * laps` times.
      rounds: how many there are; ratios are of one round.
      laps: into how many pieces the work of a round is cut.
    """
    order = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in order}
    thresholds = gc.get_threshold()
    gc.set_threshold(thresholds[0], thresholds[1], _NEVER)
    try:
        for _ in range(rounds):
            totals = dict.fromkeys(order, 0.0)
            for _ in range(laps):
                for name in order:
                    totals[name] += next(contestants[name])
                order.reverse()
            for name, total in totals.items():
                seconds[name].append(total)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    return seconds


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Returns the ratio of each round."""
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def middle_half(samples: Sequence[float]) -> tuple[float, float, float]:
    """Returns the lower quartile, the median and the upper quartile."""
    if len(samples) == 1:
        return samples[0], samples[0], samples[0]
    lower, median, upper = statistics.quantiles(samples, n=4, method="inclusive")
    return lower, median, upper
