"""The screen says when Redis refuses what the job writes."""

import json
from pathlib import Path

from services.live.stale_writes import StaleWriteLines


def test_says_how_many_when_there_are_more_and_not_more_often_than_every_ten_seconds(tmp_path: Path) -> None:
    now_ms, status = 0, tmp_path / "status.json"
    stale_writes = StaleWriteLines(status, lambda: now_ms)

    def look(stale: int, taken_over: int = 0) -> list[str]:
        status.write_text(json.dumps({"stale_writes": stale, "taken_over_writes": taken_over}))
        return stale_writes.lines()

    assert stale_writes.lines() == []
    assert look(0) == []
    said = "live: stale writes: Redis refused {} so far, because it has newer versions of the profiles"
    assert look(1) == [said.format(1)]
    now_ms += 9_999
    assert look(1_200, 1_100) == []
    now_ms += 1
    taken_over = (
        "live: 1,100 of them are of profiles that another job or run has taken over: docs/redis.md, “Two writers of one"
        " prefix”, has the fix"
    )
    assert look(1_200, 1_100) == [said.format("1,200"), taken_over]
    now_ms += 60_000
    assert look(1_200, 1_100) == []
