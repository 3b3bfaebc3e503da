"""What a live run has decided, and its status file."""

import json
from datetime import UTC, datetime

import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage

from pipeline.local_run.job_status import note_decided, reset_status, to_counted_message, write_status
from segmentation.control import CONTROL_ATTRIBUTE, HEARTBEAT
from transforms.read_events import to_message
from transforms.step_metrics import StepMetrics, reset_totals


def pulled(at_ms: int, **attributes: str) -> PubsubMessage:
    return PubsubMessage(b"{}", attributes, "id", datetime.fromtimestamp(at_ms / 1000, UTC))


@pytest.fixture
def status(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVE_STATUS_FILE", str(tmp_path / "status.json"))
    reset_status()
    yield lambda: (write_status(), json.loads((tmp_path / "status.json").read_text()))[1]
    reset_status()


def decided(status: dict[str, int | None]) -> tuple[int | None, int | None]:
    return status["events_decided"], status["newest_publish_time_ms"]


def test_messages_are_decided_when_all_that_were_pulled_have_passed(status):
    assert decided(status()) == (0, None)
    assert to_counted_message(pulled(2000)) == to_message(pulled(2000))
    to_counted_message(pulled(1000))
    to_counted_message(pulled(1500, **{CONTROL_ATTRIBUTE: HEARTBEAT}))
    assert decided(status()) == (0, None)
    note_decided()
    assert decided(status()) == (2, 2000)
    to_counted_message(pulled(3000, **{CONTROL_ATTRIBUTE: HEARTBEAT}))
    note_decided()
    assert decided(status()) == (2, 3000)


def test_writes_that_redis_refused_are_in_the_status(status):
    reset_totals()
    assert (status()["stale_writes"], status()["taken_over_writes"]) == (0, 0)
    metrics = StepMetrics("WriteSegments")
    metrics.count("redis_writes_stale", 3)
    metrics.count("redis_writes_taken_over", 2)
    metrics.flush()
    assert (status()["stale_writes"], status()["taken_over_writes"]) == (3, 2)
    reset_totals()


def test_a_status_file_that_cannot_be_written_is_one_warning(status, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("LIVE_STATUS_FILE", str(tmp_path / "absent" / "status.json"))
    for _ in range(3):
        write_status()
    (warning,) = caplog.messages
    assert warning.endswith("status.json cannot be written: No such file or directory")


def test_no_status_file_is_written_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("LIVE_STATUS_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    write_status()
    assert list(tmp_path.iterdir()) == []
