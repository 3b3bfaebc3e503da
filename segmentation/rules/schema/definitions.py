"""A file of definitions, as a pydantic model.

`checks` checks references between parts, and mistakes that involve more than one key.
"""

from typing import Annotated, Literal

import pydantic
from pydantic import Discriminator, Field, Tag, WithJsonSchema

from segmentation.rules.schema.conditions import Condition
from segmentation.rules.schema.measures import EventSelection, MeasureDefinition
from segmentation.rules.schema.values import (
    MAX_LIST_ITEMS,
    MAX_SEGMENTS,
    Duration,
    ListPath,
    Name,
    Number,
    OrAbsent,
    PlainPath,
    Strict,
    Text,
    _version,
)


class PointsOf(Strict):
    """Points that an event earns by a number in it: the number at a path × `times`."""

    of: ListPath
    """Dotted path to the number; if there are several numbers, each earns points."""
    times: Number = 1
    """The factor by which the number is multiplied."""


class EarnDefinition(EventSelection):
    """Events that earn points."""

    points: Annotated[
        Annotated[Number, Tag("<number>")] | Annotated[PointsOf, Tag("<of>")],
        Discriminator(lambda value: "<of>" if isinstance(value, (dict, PointsOf)) else "<number>"),
    ]
    """A number of points, or `{of: path, times: number}`."""


class ScoreDefinition(Strict):
    """A sum of the points that events earn. With a half-life, points lose half of their value in each half-life."""

    description: Text = ""
    """A description for people."""
    half_life: OrAbsent[Duration] = None
    """The time after which points have lost half of their value, such as 7d; without it, points keep their value."""
    earn: Annotated[list[EarnDefinition], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """The events that earn points. An event earns points for each entry that it matches."""


class SegmentDefinition(Strict):
    """A named condition on profiles."""

    description: Text = ""
    """A description for people."""
    when: Condition
    """The condition under which a profile is in the segment, in exactly one form."""


class Definitions(Strict):
    """A file of definitions in the segment language; the reference is docs/segment-language.md."""

    version: Annotated[Literal[1], pydantic.PlainValidator(_version), WithJsonSchema({"const": 1})]
    """Version of the language: 1."""
    measures: dict[Name, MeasureDefinition] = {}
    """Named measures. They are served with the profile, and conditions refer to them by measure:."""
    scores: dict[Name, ScoreDefinition] = {}
    """Named scores. They are served with the profile, and conditions refer to them by score:."""
    segments: Annotated[dict[Name, SegmentDefinition], Field(max_length=MAX_SEGMENTS)] = {}
    """The segments, each with the condition under which a profile is in it."""
    export_traits: Annotated[list[PlainPath], Field(max_length=MAX_LIST_ITEMS)] = []
    """Traits that are served with the profile even if no condition uses them."""
