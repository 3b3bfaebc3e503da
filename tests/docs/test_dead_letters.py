"""docs/dead-letters.md is true: every reason, example and sentence that can be executed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from segmentation.dead_letters import DeadLetter
from segmentation.events import MAX_DEPTH, MAX_PAYLOAD_BYTES, EventLimits, InvalidEvent, parse_event
from segmentation.identifiers import DEFAULT_IGNORED_IDS
from segmentation.timestamps import parse_timestamp
from stores.tracking_plan import read_tracking_plan
from tests.events import START_MS

LIMITS = EventLimits(oldest_age_ms=400 * 86_400_000)
TEXT = Path("docs/dead-letters.md").read_text()
TABLE = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`)? ?\| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
EXAMPLES = [
    (reason, example.replace("…", "x" * MAX_PAYLOAD_BYTES)) for reason, example, _, _ in TABLE if example
]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_table_has_every_reason_of_the_code():
    sources = [*Path("segmentation").glob("*.py"), *Path("transforms").glob("*.py")]
    given = {
        reason
        for source in sources
        for reason in re.findall(r'(?:InvalidEvent\(|DeadLetter\([^")]*)"(\w+)"', source.read_text())
    }
    assert {reason for reason, *_ in TABLE} == given
    assert {reason for reason, _ in EXAMPLES} == given - {"row_refused"}


CONTRACT = [(reason, example) for reason, example in EXAMPLES if reason != "tracking_plan"]
"""What is refused whatever the plan says."""


@pytest.mark.parametrize("reason, example", CONTRACT, ids=[reason for reason, _ in CONTRACT])
def test_an_example_is_refused_for_its_reason(reason: str, example: str):
    with pytest.raises(InvalidEvent) as refused:
        parse_event(example.encode(), START_MS, LIMITS)
    assert refused.value.reason == reason


def test_the_example_for_the_tracking_plan_breaks_ours():
    event = parse_event(dict(EXAMPLES)["tracking_plan"].encode(), START_MS)
    plan = read_tracking_plan("definitions/tracking_plan").plan
    assert plan.on_violation(event.name) == "reject"
    assert {violation.path for violation in plan.violations(event.name, event.message)} == {
        "properties.order_id",
        "properties.total",
    }


def test_reasons_are_listed_in_the_order_of_the_table():
    """What breaks the rule of one row, and of all after it, is refused for that of the first."""
    order = [reason for reason, _ in CONTRACT]
    fields = {"type": 0, "messageId": "", "userId": "", "event": "", "timestamp": "", "properties": [0]}
    mended = {
        "type": "track",
        "messageId": "m",
        "userId": "u",
        "event": "A",
        "timestamp": "9999-01-01T00:00:00Z",
    }
    told = []
    for field in [*mended, "properties"]:
        with pytest.raises(InvalidEvent) as refused:
            parse_event(json.dumps(fields).encode(), START_MS)
        told.append(refused.value.reason)
        fields[field] = mended.get(field, {})
    for timestamp in ("9999-01-01T00:00:00Z", "0008-01-01T00:00:00Z"):
        with pytest.raises(InvalidEvent) as refused:
            parse_event(json.dumps(fields | {"timestamp": timestamp}).encode(), START_MS, LIMITS)
        told.append(refused.value.reason)
    assert told == order[order.index("bad_type") :]


def test_the_placeholders_are_those_of_the_code():
    section = TEXT.partition("## Ids that stand for no id")[2].partition("\n## ")[0]
    (listed,) = [line for line in section.splitlines() if line.startswith("`undefined`")]
    assert set(re.findall(r"`([^`]+)`", listed)) == DEFAULT_IGNORED_IDS


def test_every_spelling_of_a_timestamp_is_read():
    section = TEXT.partition("## Timestamps")[2].partition("\n## ")[0]
    spellings = [spelling.strip('"') for spelling in re.findall(r"`([^`]{10,})`", section)]
    assert len(spellings) == 11
    for spelling in spellings:
        assert parse_timestamp(spelling) == START_MS


def test_what_is_no_mistake_is_an_event():
    lines = "".join(blocks("json lines")).splitlines()
    assert len(lines) == 6
    for line in lines:
        parse_event(line.encode())


def test_a_dead_letter_looks_like_the_first_example():
    (shown,) = map(json.loads, blocks("json"))
    payload = shown["payload"].encode()
    with pytest.raises(InvalidEvent) as refused:
        parse_event(payload)
    assert (
        DeadLetter(payload, "ParseEvents", refused.value.reason, str(refused.value), START_MS).row() == shown
    )


def test_the_script_writes_payloads_out_again(tmp_path: Path):
    (script,) = blocks("python")
    payloads = [b'{"a":"\xc3\xa9"}', b"\xff\xfe", b"[]"]
    rows = [DeadLetter(payload, "ParseEvents", "not_json", "", 0).row() for payload in payloads]
    rows.append(DeadLetter(b"null", "ParseEvents", "not_an_object", "", 0).row())
    text = "".join(json.dumps(row) + "\n" for row in rows)
    command = [sys.executable, "-c", script, "not_json"]
    result = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    assert result.stdout == b"".join(payload + b"\n" for payload in payloads)


def test_the_limits_are_those_of_the_code():
    assert f"more than {MAX_DEPTH} levels" in TEXT
    assert f"more than {MAX_PAYLOAD_BYTES // 1024} KiB" in TEXT
