"""What Segment and RudderStack publish, as docs/segment-and-rudderstack.md shows it, is what the job takes."""

import json
import re
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.util import assert_that, equal_to

from pipeline.main import LOCAL_RUNNER
from segmentation.messages import Message
from stores.tracking_plan import read_tracking_plan
from tests.events import START_MS
from transforms.parse_events import ParseEvents

TEXT = Path("docs/segment-and-rudderstack.md").read_text()
PUBLISH_TIME_MS = START_MS + 10 * 60 * 1000


def published(by: str) -> dict[str, Any]:
    match = re.search(rf"<!-- published by {by} -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    body: dict[str, Any] = json.loads(match[1])
    return body


def assert_parsed(messages: list[Message], events: list[tuple[str, str]], reasons: list[str]) -> None:
    """Asserts the names and profiles of the events, and the reasons of the dead letters, that the step emits."""
    texts = read_tracking_plan("definitions/tracking_plan").texts
    with BeamPipeline(runner=LOCAL_RUNNER) as pipeline:
        outcome = pipeline | beam.Create(messages) | ParseEvents(tracking_plan=texts)
        found = outcome.events | "Names" >> beam.Map(lambda event: (event.name, event.profile_id))
        refused = outcome.dead_letters | "Reasons" >> beam.Map(lambda letter: letter.reason)
        assert_that(found, equal_to(events), label="events")
        assert_that(refused, equal_to(reasons), label="reasons")


@pytest.mark.parametrize("by, name", [("Segment", "Product Added"), ("RudderStack", "Order Completed")])
def test_their_payloads_are_events(by: str, name: str):
    payload = json.dumps(published(by)).encode()
    assert_parsed([Message(payload, PUBLISH_TIME_MS)], [(name, "ada")], [])


def test_their_other_calls_are_events_too():
    calls = {
        "identify": {"traits": {"plan": "pro"}},
        "page": {"name": "Home", "properties": {"url": "https://shop.example/"}},
        "group": {"groupId": "g1", "traits": {}},
        "alias": {"previousId": "before"},
    }
    for by in ("Segment", "RudderStack"):
        common = {key: value for key, value in published(by).items() if key not in ("event", "properties")}
        messages = [
            Message(json.dumps({**common, "type": call, **fields}).encode(), PUBLISH_TIME_MS)
            for call, fields in calls.items()
        ]
        assert_parsed(messages, [(f"${call}", "ada") for call in calls], [])


def test_an_attribute_named_control_is_no_event():
    message = Message(json.dumps(published("RudderStack")).encode(), PUBLISH_TIME_MS, {"control": "x"})
    assert_parsed([message], [], ["bad_type"])


def test_other_attributes_change_nothing():
    message = Message(json.dumps(published("RudderStack")).encode(), PUBLISH_TIME_MS, {"order_id": "o1"})
    assert_parsed([message], [("Order Completed", "ada")], [])
