"""The unmodified SDKs for Java: every call arrives, once in effect, whatever the network does."""

import subprocess

import pytest

from tests.integration.collector.collector_process import SERVER, CollectorProcess, new_user
from tests.integration.collector.faults import Faults
from tests.integration.collector.sdks import CALLS, FOLDER, events_of, installed_jars, java
from tests.waiting import HANGS_AFTER_SECONDS

PATHS = {"SegmentJava.java": "/v1/import/", "RudderStackJava.java": "/v1/batch"}
"""The path to which each SDK sends its batches."""


@pytest.mark.parametrize("sdk", PATHS)
@pytest.mark.parametrize(
    "refusals",
    [(), pytest.param((503, 429), marks=pytest.mark.long)],  # these SDKs wait many seconds before a retry
    ids=["taken", "refused"],
)
def test_every_call_arrives_once(collector: CollectorProcess, sdk: str, refusals: tuple[int, ...]) -> None:
    user = new_user()
    with Faults(collector.url, refusals) as faults:
        command = [java(), "-cp", f"{installed_jars()}/*", sdk, faults.url, SERVER, user]
        done = subprocess.run(
            command, cwd=FOLDER, capture_output=True, text=True, timeout=HANGS_AFTER_SECONDS
        )
    assert done.returncode == 0, done.stderr
    events = events_of(collector, user, CALLS)
    assert set(events) == CALLS
    assert events["identify"].get("traits") == {"plan": "pro"}
    assert events["track"]["properties"] == {"product_id": "p1", "price": 18.99}
    assert events["page"]["name"] == "Home"
    assert events["screen"]["name"] == "Basket"
    assert events["group"]["groupId"] == "g1"
    assert events["alias"]["previousId"] == "before"
    statuses = [request.status for request in faults.sent]
    assert statuses[: len(refusals) + 1] == [*refusals, 200]
    assert {request.path.partition("?")[0] for request in faults.sent} == {PATHS[sdk]}
