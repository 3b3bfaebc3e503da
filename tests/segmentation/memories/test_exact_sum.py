"""Exact sums, which do not depend on the order of the summands."""

from itertools import pairwise
from math import fsum
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from segmentation.memories.exact_sum import grow
from tests.segmentation.folding import examples

doubles = st.floats(-1e30, 1e30, allow_subnormal=False) | st.sampled_from(
    [1e15, -1e15, 0.1, 0.7, 1e-30, 1.0, -0.0]
)


def partials_of(*parts: list[float]) -> list[float]:
    partials: list[float] = []
    for part in parts:
        grow(partials, part)
    return partials


@examples(300)
@given(values=st.lists(doubles, max_size=60), data=st.data())
def test_in_every_order_and_grouping_the_sum_is_the_same(values, data):
    shuffled = data.draw(st.permutations(values))
    cut = data.draw(st.integers(0, len(values)))
    ours, theirs = partials_of(shuffled[:cut]), partials_of(shuffled[cut:])
    grow(ours, theirs)
    assert fsum(ours) == fsum(partials_of(values)) == fsum(values)


@examples(300)
@given(values=st.lists(doubles, max_size=60))
def test_partials_do_not_overlap(values):
    partials = partials_of(values)
    assert 0 not in partials[:-1]
    for small, large in pairwise(filter(None, partials)):
        assert abs(small) < lowest_bit(large)


def lowest_bit(value: float) -> float:
    numerator, denominator = value.as_integer_ratio()
    return (numerator & -numerator) / denominator


def test_partials_stay_few_however_much_is_added():
    chance = Random(7)
    partials: list[float] = []
    for _ in range(20_000):
        grow(partials, [chance.uniform(-1, 1) * 10.0 ** chance.randint(-15, 15)])
        assert len(partials) < 40


def test_what_is_taken_back_leaves_nothing():
    assert fsum(partials_of([0.1] * 10, [1e15], [-0.1] * 10, [-1e15])) == 0
    assert sum([0.1] * 10 + [1e15] + [-0.1] * 10 + [-1e15]) != 0
