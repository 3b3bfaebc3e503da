"""Conditions: one pydantic model for each form of the language."""

from typing import Annotated, Any

import pydantic
from pydantic import ConfigDict, Discriminator, Field, Tag
from typing_extensions import TypeAliasType

from segmentation.rules.schema.measures import (
    _ONE_MEASURE,
    EventSelection,
    TestsOfPath,
    TestsOfPlainPath,
    _Measures,
)
from segmentation.rules.schema.values import (
    MAX_LIST_ITEMS,
    MAX_STEPS,
    Duration,
    ListPath,
    Name,
    OrAbsent,
    PlainPath,
    Strict,
    ValueTests,
    _one_as_list,
    _OrOne,
)


class AllCondition(Strict):
    """True while all conditions are."""

    all: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """Conditions that must all be true."""


class AnyCondition(Strict):
    """True while one of the conditions is, or several are."""

    any: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """Conditions of which one must be true."""


class NotCondition(Strict):
    """True while the condition is not."""

    not_: Annotated["Condition", Field(alias="not")]
    """The condition that must not be true."""


class SegmentCondition(Strict):
    """True while another segment's condition is."""

    segment: Name
    """Name of a segment of this file."""


class EventCondition(_Measures[ValueTests, TestsOfPath, TestsOfPlainPath]):
    """True while a measure over the matching events passes its test; without one, while there is an event."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [*_ONE_MEASURE, {"not": {"anyOf": _ONE_MEASURE}}]},
    )


class MeasureCondition(ValueTests):
    """True while a named measure passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    measure: Name
    """Name of a measure under measures:."""


class StepDefinition(EventSelection):
    """A step of a sequence."""

    max_gap: OrAbsent[Duration] = None
    """How long after the step before it at most, such as 5m; not on the first step."""
    same: OrAbsent[ListPath] = None
    """Where this step's event carries the shared value, if not where the sequence says."""


class ThenNotDefinition(EventSelection):
    """What must not follow the last step."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["for"]}, {"required": ["during"]}]})

    for_: Annotated[OrAbsent[Duration], Field(alias="for")] = None
    """No such event for this long after the last step, and none later either."""
    during: OrAbsent[Duration] = None
    """No such event for this long after the last step; later ones do no harm."""
    same: OrAbsent[ListPath] = None
    """Where such an event carries the shared value, if not where the sequence says."""


class SequenceCondition(Strict):
    """True while the steps have happened in this order, and nothing came after them that must not."""

    sequence: Annotated[list[StepDefinition], Field(min_length=1, max_length=MAX_STEPS)]
    """The steps, each at a later instant than the one before it."""
    within: Duration
    """How far back all steps must lie, such as 10m or 24h."""
    same: OrAbsent[ListPath] = None
    """Dotted path at which the events of all steps carry one same value, such as properties.product_id."""
    then_not: Annotated[
        list[ThenNotDefinition],
        Field(min_length=1, max_length=MAX_STEPS),
        pydantic.BeforeValidator(_one_as_list),
        _OrOne(),
    ] = []
    """What must not follow the last step: one entry, or a list that must all hold."""


class TraitCondition(ValueTests):
    """True while a trait passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    trait: PlainPath
    """The trait's key, as identify calls set it; dots lead further in."""


class ScoreCondition(ValueTests):
    """True while a score passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    score: Name
    """Name of a score under scores:."""


FORMS = ("all", "any", "not", "segment", "event", "measure", "sequence", "trait", "score")


def form_of(value: Any) -> str | None:
    """Returns the tag of the form that a condition is written in, None where it is none or several."""
    if not isinstance(value, dict):
        return None
    forms = [form for form in FORMS if form in value]
    return f"<{forms[0]}>" if len(forms) == 1 else None


Condition = TypeAliasType(
    "Condition",
    Annotated[
        Annotated[AllCondition, Tag("<all>")]
        | Annotated[AnyCondition, Tag("<any>")]
        | Annotated[NotCondition, Tag("<not>")]
        | Annotated[SegmentCondition, Tag("<segment>")]
        | Annotated[EventCondition, Tag("<event>")]
        | Annotated[MeasureCondition, Tag("<measure>")]
        | Annotated[SequenceCondition, Tag("<sequence>")]
        | Annotated[TraitCondition, Tag("<trait>")]
        | Annotated[ScoreCondition, Tag("<score>")],
        Discriminator(form_of),
    ],
)
