"""The unmodified server SDKs for Node.js: every call arrives, once in effect, whatever the network does."""

import subprocess
from collections.abc import Callable

import pytest

from tests.integration.collector.collector_process import SERVER, CollectorProcess, new_user
from tests.integration.collector.faults import Faults
from tests.integration.collector.sdks import CALLS, FOLDER, events_of, installed_packages, program
from tests.waiting import HANGS_AFTER_SECONDS

SDKS = ["segment_node.js", "rudderstack_node.js"]


@pytest.fixture(scope="session")
def node() -> str:
    found = program("node", "install Node.js (Debian: the package nodejs)")
    installed_packages()
    return found


@pytest.fixture
def send(node: str, collector: CollectorProcess) -> Callable[..., tuple[str, Faults]]:
    """Runs a program that sends one call of each type; returns the user of them, and the requests."""

    def run(sdk: str, *refusals: int) -> tuple[str, Faults]:
        user = new_user()
        with Faults(collector.url, refusals) as faults:
            command = [node, sdk, faults.url, SERVER, user]
            done = subprocess.run(
                command, cwd=FOLDER, capture_output=True, text=True, timeout=HANGS_AFTER_SECONDS
            )
        assert done.returncode == 0, done.stderr
        return user, faults

    return run


@pytest.mark.parametrize("sdk", [*SDKS, "segment_node_old.js"])
def test_every_call_arrives_once(send: Callable[..., tuple[str, Faults]], collector, sdk: str) -> None:
    user, faults = send(sdk)
    events = events_of(collector, user, CALLS)
    assert set(events) == CALLS
    assert events["identify"]["traits"] == {"plan": "pro"} or events["identify"]["context"]["traits"]
    assert events["track"]["event"] == "Product Added"
    assert events["track"]["properties"]["price"] == 18.99
    assert events["page"]["name"] == "Home"
    assert events["screen"]["name"] == "Basket"
    assert events["group"]["groupId"] == "g1"
    assert events["alias"]["previousId"] == "before"
    assert {request.status for request in faults.sent} == {200}


def test_rudderstack_sends_gzip(send: Callable[..., tuple[str, Faults]]) -> None:
    _, faults = send("rudderstack_node.js")
    assert {request.headers.get("content-encoding") for request in faults.sent} == {"gzip"}


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("refusals", [(503,), (429,)], ids=["503", "429"])
def test_what_is_refused_is_sent_again(
    send: Callable[..., tuple[str, Faults]], collector, sdk: str, refusals: tuple[int, ...]
) -> None:
    user, faults = send(sdk, *refusals)
    assert set(events_of(collector, user, CALLS)) == CALLS
    assert [request.status for request in faults.sent][:2] == [*refusals, 200]
