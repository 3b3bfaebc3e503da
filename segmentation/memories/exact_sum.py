"""Exact sums of doubles, which do not depend on the order of the summands."""

from collections.abc import Iterable


def grow(partials: list[float], values: Iterable[float]) -> None:
    """Adds values in place to an exact sum, stored as partials that do not overlap; `math.fsum` gives the sum.

    Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
    Predicates", 1997, Grow-Expansion.
    """
    for value in values:
        kept = 0
        for partial in partials:
            if abs(value) < abs(partial):
                value, partial = partial, value
            high = value + partial
            low = partial - (high - value)
            if low:
                partials[kept] = low
                kept += 1
            value = high
        partials[kept:] = [value]
