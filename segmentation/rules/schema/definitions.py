"""A file of definitions, as a pydantic model.

References between parts, and what needs more than one key to judge, are checked in `checks`.
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
    """Points that are `times` × the number at a path."""

    of: ListPath
    """Dotted path to the number; of several, each earns."""
    times: Number = 1
    """What the number is multiplied by."""


class EarnDefinition(EventSelection):
    """What an event earns."""

    points: Annotated[
        Annotated[Number, Tag("<number>")] | Annotated[PointsOf, Tag("<of>")],
        Discriminator(lambda value: "<of>" if isinstance(value, (dict, PointsOf)) else "<number>"),
    ]
    """A number of points, or `{of: path, times: number}`."""


class ScoreDefinition(Strict):
    """Points for events, which may lose half of their worth in every half-life."""

    description: Text = ""
    """What it stands for, for people."""
    half_life: OrAbsent[Duration] = None
    """How long it takes points to lose half of their worth, such as 7d; without it they keep it."""
    earn: Annotated[list[EarnDefinition], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """What earns points; an event earns by every entry that it matches."""


class SegmentDefinition(Strict):
    """A named condition over profiles."""

    description: Text = ""
    """Who is in it, for people."""
    when: Condition
    """Who is in it: exactly one form of condition."""


class Definitions(Strict):
    """A file of definitions in the segment language; the reference is docs/segment-language.md."""

    version: Annotated[Literal[1], pydantic.PlainValidator(_version), WithJsonSchema({"const": 1})]
    """Version of the language: 1."""
    measures: dict[Name, MeasureDefinition] = {}
    """Named measures, served with the profile, which conditions refer to by measure:."""
    scores: dict[Name, ScoreDefinition] = {}
    """Named scores, served with the profile, which conditions refer to by score:."""
    segments: Annotated[dict[Name, SegmentDefinition], Field(max_length=MAX_SEGMENTS)] = {}
    """The segments, each with the condition under which a profile is in it."""
    export_traits: Annotated[list[PlainPath], Field(max_length=MAX_LIST_ITEMS)] = []
    """Traits to serve with the profile although no condition names them."""
