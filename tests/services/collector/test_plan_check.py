"""The collector applies the tracking plan of the pipeline, with the same outcome."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from segmentation.events import MAX_DEPTH
from segmentation.tracking_plan.load import TrackingPlanError
from services.collector.__main__ import main
from services.collector.completion import Received
from services.collector.messages import to_messages
from services.collector.plan_check import load_plan_check
from tests.events import START_MS, message, payload

OURS = "definitions/tracking_plan"
GOOD = payload(0, "Order Completed", order_id="o1", total="27.50")
REJECTED = payload(1, "Order Completed", total="27,50")
FLAGGED = payload(2, "Product Viewed", product_id=None)
UNPLANNED = payload(3, "Shop Opened", product_id=None)


def test_rejects_and_flags_as_the_plan_says():
    received = Received(START_MS, ip=None, ip_setting="keep", user_agent=None)
    messages = to_messages([GOOD, REJECTED, FLAGGED, UNPLANNED], received, load_plan_check(OURS))
    assert [orjson.loads(event)["messageId"] for event in messages.events] == [
        orjson.loads(event)["messageId"] for event in (GOOD, FLAGGED, UNPLANNED)
    ]
    assert (messages.reasons, messages.flagged) == (["tracking_plan"], 1)
    (letter,) = map(orjson.loads, messages.dead_letters)
    assert letter["message"].startswith(
        "properties.order_id: is missing; properties.total: the value does not"
    )


def test_takes_folders_of_its_own_machine_only():
    with pytest.raises(TrackingPlanError, match="mount the bucket"):
        load_plan_check("gs://bucket/plan")


def test_a_wrong_plan_ends_it_before_it_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a.yaml").write_text("event: A\non_violation: drop\nschema: {}\n")
    topics = ["--events_topic=projects/p/topics/e", "--dead_letter_topic=projects/p/topics/d"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        status = main(
            ["--settings=definitions/collector.yaml", f"--tracking_plan={tmp_path}", "--port=0", *topics]
        )
    assert status == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "  a.yaml: line 2: on_violation: found 'drop'; expected reject or flag"
    )


DANGLING = "event: A\non_violation: flag\nschema: {$ref: _shared.yaml#/$defs/a}\n"


@pytest.mark.parametrize(
    "shared, expected",
    [
        ("$defs: {a: {$ref: '#/$defs/b'}}\n", "its target is not in this plan"),
        (
            "$defs: {a: {$schema: 'http://example.com/a'}}\n",
            "found 'http://example.com/a'; expected https://json-",
        ),
        (
            "$defs: {a: {items: {anyOf: [{items: {$ref: '#/$defs/a'}}, {items: {$ref: '#/$defs/a'}}]}}}\n",
            "checks",
        ),
    ],
)
def test_a_mistake_in_a_shared_file_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shared: str, expected: str
):
    (tmp_path / "a.yaml").write_text(DANGLING)
    (tmp_path / "_shared.yaml").write_text(shared)
    topics = ["--events_topic=projects/p/topics/e", "--dead_letter_topic=projects/p/topics/d"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        status = main(
            ["--settings=definitions/collector.yaml", f"--tracking_plan={tmp_path}", "--port=0", *topics]
        )
    assert status == 2
    told = capsys.readouterr().err
    assert f"--tracking_plan: {tmp_path} has a mistake:\n  _shared.yaml: line 1: ['$defs'].a" in told
    assert expected in told


def test_an_event_that_nests_deeply_is_a_dead_letter():
    deep: Any = 1
    for _ in range(MAX_DEPTH - 12):
        deep = [deep]
    received = Received(START_MS, ip=None, ip_setting="keep", user_agent=None)
    events = [json.dumps(message(0, "Order Completed", note=deep)).encode(), GOOD]
    messages = to_messages(events, received, load_plan_check(OURS))
    assert (len(messages.events), messages.reasons) == (1, ["tracking_plan"])
    (letter,) = map(orjson.loads, messages.dead_letters)
    assert letter["message"] == "violates the plan; it nests too deeply, or repeats too much, to list where"
