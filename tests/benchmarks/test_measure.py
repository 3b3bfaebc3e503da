import gc

import pytest

from benchmarks.measure import in_turn, middle_half, ratios, timed


def test_contestants_take_turns_in_alternating_order():
    order = []

    def laps(name, seconds):
        for second in seconds:
            order.append(name)
            yield second

    contestants = {"a": laps("a", [1, 2, 3, 4]), "b": laps("b", [10, 20, 30, 40])}
    assert in_turn(contestants, rounds=2, laps=2) == {"a": [3, 7], "b": [30, 70]}
    assert "".join(order) == "abba" * 2


def test_ratios_are_formed_within_a_round():
    assert ratios([2, 9], [1, 3]) == [2, 3]


@pytest.mark.parametrize(
    "samples, expected", [([3], (3, 3, 3)), ([5, 1, 3], (2, 3, 4)), ([1, 2, 3, 4, 100], (2, 3, 4))]
)
def test_middle_half(samples, expected):
    assert middle_half(samples) == expected


def test_garbage_collection_is_as_before_when_all_laps_are_done():
    before = gc.get_threshold()
    in_turn({"a": (timed(list) for _ in range(3))}, rounds=3)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
