"""The unmodified SDK for Android, on the JVM: every call arrives, packed, once in effect, also after refusals."""

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.collector.collector_process import CollectorProcess, new_user
from tests.integration.collector.faults import Faults
from tests.integration.collector.sdks import FOLDER, events_of, installed_jars, java
from tests.waiting import HANGS_AFTER_SECONDS, until

CALLS = {"identify", "track", "screen", "group"}
STORAGE = Path("/tmp/analytics-kotlin")
"""Where the SDK keeps what is not sent yet, by write key; it cannot be told otherwise."""


@pytest.fixture
def write_key() -> Iterator[str]:
    """A key of the test's own, so that nothing of another run is sent."""
    key = f"kotlin-{uuid.uuid4().hex}"
    yield key
    shutil.rmtree(STORAGE / key, ignore_errors=True)


@pytest.fixture
def kotlin_collector(
    start_collector: Callable[..., CollectorProcess], tmp_path: Path, write_key: str
) -> CollectorProcess:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"version: 1\nsources:\n  - {{name: app, write_key: {write_key}}}\n")
    return start_collector(f"--settings={settings}")


@pytest.mark.parametrize(
    "refusals", [(503, 429), pytest.param((), marks=pytest.mark.long)], ids=["refused", "taken"]
)
def test_every_call_arrives_once(
    kotlin_collector: CollectorProcess, write_key: str, refusals: tuple[int, ...]
) -> None:
    user = new_user()
    with Faults(kotlin_collector.url, refusals) as faults:
        command = [java(), "-cp", f"{installed_jars()}/*", "SegmentKotlin.java", faults.url, write_key, user]
        with subprocess.Popen(command, cwd=FOLDER, stdin=subprocess.PIPE) as process:
            events = events_of(kotlin_collector, user, CALLS)
            aliases = until(lambda: kotlin_collector.published(f"after {user}"), "alias")
            process.communicate(timeout=HANGS_AFTER_SECONDS)
    assert process.returncode == 0
    assert set(events) == CALLS
    assert events["track"]["properties"] == {"product_id": "p1", "price": 18.99}
    assert events["screen"]["name"] == "Basket"
    assert events["group"]["groupId"] == "g1"
    assert len({alias["messageId"] for alias in aliases}) == 1
    assert (aliases[0]["type"], aliases[0]["previousId"]) == ("alias", user)
    assert {request.headers["content-encoding"] for request in faults.sent} == {"gzip"}
    statuses = [request.status for request in faults.sent]
    assert statuses[: len(refusals) + 1] == [*refusals, 200]
