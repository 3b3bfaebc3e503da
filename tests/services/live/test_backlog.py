"""How far the job is behind, and when that is said."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.live.backlog import Backlog, BehindLines, Waiting

NOW_MS = 1_700_000_000_000
METRICS = """# HELP collector_events_published_total Events that Pub/Sub accepted.
# TYPE collector_events_published_total counter
collector_events_published_total{{source="web"}} {}
collector_events_published_total{{source="server"}} 2.0
collector_events_published_created{{source="web"}} 1.7e+09
collector_events_dead_lettered_total{{reason="not_json",source="web"}} 9.0
"""


class Collector(http.server.ThreadingHTTPServer):
    """Answers with a count of published events."""

    published = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(METRICS.format(self.server.published).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_what_was_published_and_is_not_decided_waits(collector: Collector, tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    backlog = Backlog(collector.url, status, lambda: NOW_MS)
    assert backlog.read() is None

    def decide(events: int, newest_ms: int | None) -> Waiting | None:
        status.write_text(json.dumps({"events_decided": events, "newest_publish_time_ms": newest_ms}))
        return backlog.read()

    assert decide(0, None) is None
    collector.published = 98
    assert decide(60, NOW_MS - 5000) == Waiting(events=40, behind_ms=5000, decided=60)
    assert decide(100, NOW_MS + 1) == Waiting(events=0, behind_ms=0, decided=100)
    assert decide(130, NOW_MS - 1) == Waiting(events=0, behind_ms=1, decided=130), "30 came another way"
    collector.published = 108
    assert decide(130, NOW_MS - 1) == Waiting(events=10, behind_ms=1, decided=130)


def test_says_that_the_job_is_behind_now_and_then_and_that_it_has_caught_up() -> None:
    now_ms = NOW_MS
    behind = BehindLines(lambda: now_ms)
    assert behind.lines(Waiting(0, 2999, 0)) == []
    line = "live: the job is behind: 1,234 events are not decided, the oldest for 3 s"
    assert behind.lines(Waiting(1234, 3000, 0)) == [line]
    now_ms += 9999
    assert behind.lines(Waiting(1, 9000, 0)) == []
    now_ms += 1
    line = "live: the job is behind: 1 event is not decided, the oldest for 9 s"
    assert behind.lines(Waiting(1, 9000, 0)) == [line]
    now_ms += 10_000
    assert behind.lines(Waiting(0, 9000, 0)) == ["live: the job is behind: it took its last message 9 s ago"]
    assert behind.lines(Waiting(0, 100, 0)) == ["live: the job has caught up"]
    assert behind.lines(Waiting(0, 100, 0)) == []
