"""Measures: what a profile remembers of matching events, and the value that gives at an instant."""

from segmentation.memories.measures.counts import Count, CountEver, Distinct
from segmentation.memories.measures.ends import First, FirstEver, Last
from segmentation.memories.measures.extremes import Max, Min
from segmentation.memories.measures.measure import Measure, settled
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
    "settled",
]
