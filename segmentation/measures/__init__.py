"""Measures: what a profile remembers of matching events, and the value that gives at an instant."""

from segmentation.measures.counts import Count, CountEver, Distinct
from segmentation.measures.ends import First, FirstEver, Last
from segmentation.measures.extremes import Max, Min
from segmentation.measures.measure import Measure, settled
from segmentation.measures.sums import Average, AverageEver, Sum, SumEver

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
