"""Measures: aggregates over the events of a selection."""

from segmentation.memories.measures.counts import Count, CountEver, Distinct
from segmentation.memories.measures.ends import First, FirstEver, Last
from segmentation.memories.measures.extremes import Max, Min
from segmentation.memories.measures.measure import Measure, coalesced
from segmentation.memories.measures.sums import Average, AverageEver, Sum, SumEver

__all__ = [
    "Average",
    "AverageEver",
    "Count",
    "CountEver",
    "Distinct",
    "First",
    "FirstEver",
    "Last",
    "Max",
    "Measure",
    "Min",
    "Sum",
    "SumEver",
    "coalesced",
]
