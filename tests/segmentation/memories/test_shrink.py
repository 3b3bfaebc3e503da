"""What a memory gives up: the older half, if the profile is too large, and rows that its tests do not need."""

import pytest

from segmentation.memories.measures import Count
from segmentation.memories.measures.counts import Distinct
from tests.events import START_MS
from tests.segmentation.folding import rules_for
from tests.segmentation.memories.test_measures import kind_of, remembered, timeline

LOG = [(1, 50), (2, 40), (3, 30), (4, 20), (5, 10)]


@pytest.mark.parametrize("measure", ["count", "sum", "average", "max", "first"])
def test_the_older_half_goes_and_the_odd_one_with_it(measure: str) -> None:
    kind = kind_of(measure, within="1h")
    memory = remembered(kind, *LOG)
    assert kind.shrink(memory) == [START_MS + 1_000, START_MS + 2_000, START_MS + 3_000]
    left = [value for _, value in timeline(kind, memory, 5)]
    assert left == [value for _, value in timeline(kind, remembered(kind, *LOG[3:]), 5)]


@pytest.mark.parametrize("measure", ["count", "sum", "average", "first", "last"])
def test_a_memory_of_one_value_has_no_half_to_give_up(measure: str) -> None:
    kind = kind_of(measure)
    memory = remembered(kind, *LOG)
    before = timeline(kind, memory, 5)
    assert kind.shrink(memory) == ()
    assert timeline(kind, memory, 5) == before


@pytest.mark.parametrize("tested", ["count", "distinct"])
def test_merging_keeps_no_more_than_the_tests_of_a_number_need(tested: str) -> None:
    test = (
        {"count": {"at_least": 2}}
        if tested == "count"
        else {"distinct": {"of": "properties.x", "at_least": 2}}
    )
    (kind,) = rules_for(s={"event": "A", "within": "1h", **test}).kinds.values()
    assert isinstance(kind, Count | Distinct)
    merged = kind.merge(remembered(kind, *LOG[:3]), remembered(kind, *LOG[3:]), START_MS + 5_000)
    assert merged[0] == [START_MS + 4_000, START_MS + 5_000]
