"""Conditions: a pydantic model for each form of condition."""

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
    """True while all of its conditions are true."""

    all: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """Conditions that must all be true."""


class AnyCondition(Strict):
    """True while at least one of its conditions is true."""

    any: Annotated[list["Condition"], Field(min_length=1, max_length=MAX_LIST_ITEMS)]
    """Conditions of which at least one must be true."""


class NotCondition(Strict):
    """True while its condition is false."""

    not_: Annotated["Condition", Field(alias="not")]
    """The condition that must be false."""


class SegmentCondition(Strict):
    """True while the condition of another segment is true."""

    segment: Name
    """Name of a segment under segments:."""


class EventCondition(_Measures[ValueTests, TestsOfPath, TestsOfPlainPath]):
    """True while a measure over the matching events passes its tests; without a measure, while an event matches."""

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
    """The longest time since the step before, such as 5m; not allowed on the first step."""
    same: OrAbsent[ListPath] = None
    """Dotted path to the shared value in this step's event, if it differs from same: of the sequence."""


class ThenNotDefinition(EventSelection):
    """An event that must not follow the last step."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["for"]}, {"required": ["during"]}]})

    for_: Annotated[OrAbsent[Duration], Field(alias="for")] = None
    """True once this time has passed since the last step without such an event, and until such an event comes."""
    during: OrAbsent[Duration] = None
    """No such event for this long after the last step; later ones do no harm."""
    same: OrAbsent[ListPath] = None
    """Dotted path to the shared value in such an event, if it differs from same: of the sequence."""


class SequenceCondition(Strict):
    """True while the steps have happened in this order within a window, and no event of then_not: followed."""

    sequence: Annotated[list[StepDefinition], Field(min_length=1, max_length=MAX_STEPS)]
    """The steps, each at a later instant than the one before it."""
    within: Duration
    """The time before now in which all steps must lie, such as 10m or 24h."""
    same: OrAbsent[ListPath] = None
    """Dotted path to a value that must be the same in the events of all steps, such as properties.product_id."""
    then_not: Annotated[
        list[ThenNotDefinition],
        Field(min_length=1, max_length=MAX_STEPS),
        pydantic.BeforeValidator(_one_as_list),
        _OrOne(),
    ] = []
    """Events that must not follow the last step: one entry, or a list whose entries must all hold."""


class TraitCondition(ValueTests):
    """True while a trait passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    trait: PlainPath
    """The trait's key in identify calls, or a dotted path to a key inside a trait."""


class ScoreCondition(ValueTests):
    """True while a score passes the tests beside it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    score: Name
    """Name of a score under scores:."""


FORMS = ("all", "any", "not", "segment", "event", "measure", "sequence", "trait", "score")


def form_of(value: Any) -> str | None:
    """Returns the tag of a condition's form; None if the condition has no form or several."""
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
