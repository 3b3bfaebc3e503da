"""The main job from flags to Redis and files, on real input, as a user runs it."""

import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
import redis
import sqlglot

from pipeline.main import main
from stores.history.views import view_sql
from tests.events import message, payload
from transforms.step_metrics import reset_totals, total_counts

VIEWS = "data/shop_views_2019-10-01.jsonl.gz"
SEGMENTS = "definitions/segments.yaml"
VIEWS_AS_OF = "2019-10-01T03:30:00Z"


class Job:
    """Runs the main job into one Redis and one folder."""

    def __init__(self, folder: Path, redis_url: str, client: redis.Redis) -> None:
        self.folder = folder
        self._redis_url = redis_url
        self._client = client

    def run(self, events: str, segments: str = SEGMENTS, *flags: str) -> dict[str, int]:
        """Returns what was counted."""
        reset_totals()
        status = main(
            [
                f"--events={events}",
                f"--segments={segments}",
                f"--redis_url={self._redis_url}",
                f"--history_path={self.folder}/history",
                f"--dead_letter_path={self.folder}/dead",
                *flags,
            ]
        )
        counts = total_counts()
        dead = sum(count for name, count in counts.items() if name.startswith("events_dead_lettered_"))
        assert status == (dead * 2 > counts["events_read"])
        return counts

    def rows(self, kind: str = "history") -> list[dict[str, Any]]:
        files = sorted(self.folder.glob(f"{kind}*"))
        assert files
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def profiles(self) -> dict[str, dict[str, Any]]:
        keys = list(self._client.scan_iter("segments:profile:*", count=1000))
        stored: dict[str, Any] = {
            key.removeprefix("segments:profile:"): self._client.hgetall(key) for key in keys
        }
        return {
            profile: {**fields, "segments": json.loads(fields.get("segments", "{}"))}
            for profile, fields in stored.items()
        }

    def expiries(self) -> dict[str, dict[str, Any]]:
        """Returns each member's segments with their `expires_at`."""
        return {
            profile: {name: membership["expires_at"] for name, membership in fields["segments"].items()}
            for profile, fields in self.profiles().items()
            if fields["segments"]
        }

    def intervals(self) -> list[tuple[Any, ...]]:
        """Returns the rows of the view, made as BigQuery's."""
        database = duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")
        pattern = f"{self.folder}/history*"
        database.execute(
            f"CREATE TABLE segment_changes AS SELECT * FROM read_json('{pattern}', format='newline_delimited')"
        )
        (sql,) = sqlglot.transpile(
            view_sql("segment_intervals", "segment_changes"), read="bigquery", write="duckdb"
        )
        columns = "profile_id, segment, segment_version, entered_at, exited_at"
        return database.execute(f"SELECT {columns} FROM ({sql}) ORDER BY ALL").fetchall()


@pytest.fixture
def job(tmp_path: Path, redis_url: str, redis_client: redis.Redis) -> Job:
    return Job(tmp_path, redis_url, redis_client)


@pytest.fixture(params=["sample", pytest.param("whole", marks=pytest.mark.long)])
def views(request: pytest.FixtureRequest) -> list[bytes]:
    """The lines of the views log, with their ends: those of one user in ten, and all of them."""
    lines = gzip.decompress(Path(VIEWS).read_bytes()).splitlines(keepends=True)
    return lines if request.param == "whole" else [line for line in lines if b'"userId":"52' in line]


@pytest.fixture
def log(views: list[bytes], tmp_path: Path) -> str:
    """The path of `views` as one file."""
    path = tmp_path / "views.jsonl"
    path.write_bytes(b"".join(views))
    return str(path)


def without_stamps(rows: list[dict[str, Any]]) -> list[str]:
    """The rows without what depends on the processing time, in an order of their own."""
    stamps = ("processed_at", "profile_version")
    return sorted(repr([(k, v) for k, v in row.items() if k not in stamps]) for row in rows)


def members_of(history: list[dict[str, Any]]) -> dict[tuple[str, str], str | None]:
    """Returns (profile, segment) to the time of entry, folded from the history."""
    members = {}
    for row in sorted(history, key=lambda row: row["profile_version"]):
        key = row["profile_id"], row["segment"]
        if row["change"] == "entered":
            members[key] = row["event_time"]
        else:
            del members[key]
    return members


def test_the_views_log_gives_what_redis_and_history_agree_on(job: Job, views: list[bytes], log: str) -> None:
    counts = job.run(log, SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    assert counts["events_read"] == counts["events_parsed"] == len(views) > 2_000
    history = job.rows()
    in_redis = {
        (profile, segment): membership["entered_at"]
        for profile, fields in job.profiles().items()
        for segment, membership in fields["segments"].items()
    }
    assert in_redis == members_of(history)
    assert {segment for _, segment in in_redis} >= {"cart_abandoner", "window_shopper", "electronics_fan"}
    assert not any(row["correction"] for row in history)
    assert job.rows("dead") == []
    assert counts["segments_entered"] + counts["segments_exited"] == len(history)
    assert counts["redis_changes_appended"] == len(history)
    assert counts["timers_set"] >= counts["timers_fired"] > 0


def test_three_files_of_a_glob_are_one_log_in_order_of_their_names(
    job: Job, views: list[bytes], log: str, tmp_path: Path
) -> None:
    third = len(views) // 3
    parts = {
        "log-10.jsonl.gz": views[:third],
        "log-2.jsonl": views[third : 2 * third],
        "log-3.jsonl": views[2 * third :],
    }
    cut = tmp_path / "cut"
    cut.mkdir()
    for name, part in parts.items():
        data = b"".join(part)
        (cut / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    job.run(f"{cut}/log-*", SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    in_parts = job.rows()
    assert not any(row["correction"] for row in in_parts)

    whole = Job(tmp_path / "whole", job._redis_url, job._client)
    whole.folder.mkdir()
    whole.run(log, SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    assert without_stamps(in_parts) == without_stamps(whole.rows())


def test_a_second_run_with_an_edited_rule_is_believed_and_repeats_no_interval(
    job: Job, log: str, tmp_path: Path
) -> None:
    job.run(log, SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    first_members = members_of(job.rows())
    first_intervals = job.intervals()
    edited = tmp_path / "edited.yaml"
    before, after = "of: properties.product_id, at_least: 5}", "of: properties.product_id, at_least: 8}"
    text = Path(SEGMENTS).read_text()
    assert before in text
    edited.write_text(text.replace(before, after))
    old_files = set(job.folder.glob("history*"))
    job.run(log, str(edited), f"--as_of={VIEWS_AS_OF}")
    new_files = set(job.folder.glob("history*")) - old_files
    second = [json.loads(line) for file in new_files for line in file.read_text().splitlines()]

    second_members = members_of(second)
    in_redis = {(p, s): m["entered_at"] for p, f in job.profiles().items() for s, m in f["segments"].items()}
    assert in_redis == second_members
    shoppers = {key for key in first_members if key[1] == "window_shopper"}
    assert {key for key in second_members if key[1] == "window_shopper"} < shoppers
    unchanged = [row for row in job.intervals() if row[1] != "window_shopper"]
    assert unchanged == [row for row in first_intervals if row[1] != "window_shopper"]


@pytest.mark.parametrize("runner", ["DirectRunner", "FnApiRunner"])
def test_other_runners_give_the_same(job: Job, tmp_path: Path, runner: str) -> None:
    """FnApiRunner keeps no order in general, but it does for one bundle; it exercises the coders."""
    lines = gzip.decompress(Path(VIEWS).read_bytes()).splitlines(keepends=True)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(line for line in lines if b'"userId":"5126' in line))
    job.run(str(log), SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    expected = job.rows()
    assert len(expected) > 20
    other = Job(tmp_path / "other", job._redis_url, job._client)
    other.folder.mkdir()
    other.run(str(log), SEGMENTS, f"--as_of={VIEWS_AS_OF}", f"--runner={runner}")
    assert without_stamps(other.rows()) == without_stamps(expected)


def test_a_shuffled_and_repeated_log_gives_the_same_members(
    job: Job, views: list[bytes], log: str, tmp_path: Path
) -> None:
    job.run(log, SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    expected = job.expiries()
    repeated = views + views[::3]
    random.Random(7).shuffle(repeated)
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_bytes(b"".join(repeated))
    counts = job.run(str(shuffled), SEGMENTS, f"--as_of={VIEWS_AS_OF}")
    assert counts["events_repeated"] == len(views[::3])
    assert counts["events_late"] > 0
    assert job.expiries() == expected


def test_what_cannot_be_processed_is_kept_whole_and_what_has_not_happened_is_left_out(
    job: Job, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    bad = [b"{", b"[]", b'{"type":"track"}', b"\xff\xfe", b'{"a":"' + b"x" * 50_000 + b'"}']
    good = [payload(1, "Product Added"), payload(2, "Product Viewed"), payload(90, "Product Viewed")]
    log.write_bytes(b"\n".join([good[0], *bad, b"", b"   ", good[1], good[2]]) + b"\n")
    counts = job.run(str(log), SEGMENTS, "--as_of=2026-03-02T12:01:00Z")
    assert counts["events_read"] == 8
    assert counts["events_parsed"] == 2
    assert counts["events_after_as_of"] == 1
    dead = job.rows("dead")
    assert [row["reason"] for row in dead] == [
        "not_json",
        "not_an_object",
        "missing_message_id",
        "not_json",
        "too_large",
    ]
    assert dead[0]["payload"] == "{"
    assert dead[3] == {**dead[3], "payload": "//4=", "encoding": "base64"}
    assert dead[4]["payload"] == bad[4].decode()
    assert counts["events_dead_lettered_not_json"] == 2
    assert (
        job.profiles()["u1"]["updated_at"] == "2026-03-02T12:00:01.000Z"
    )  # the view changed nothing that is served


VISITED = """
version: 1
export_traits: [plan]
scores:
  interest: {earn: [{event: Product Added, points: 1}]}
segments:
  keen: {when: {event: Product Viewed, within: 1h, count: {at_least: 3}}}
  in_cart: {when: {all: [{event: Cart Viewed, within: 1h}, {not: {event: Cart Closed, within: 1h}}]}}
"""
DAY_MS = 86_400_000


def visits(visitors: int, chance: random.Random) -> list[bytes]:
    """Returns some events of each visitor: most look once, some come to the cart and leave it, some add a product."""
    lines = []
    for number in range(visitors):
        who = f"visitor-{number}"
        names = chance.choice(
            [
                ["$page"],
                ["Product Viewed"] * 3,
                ["Cart Viewed", "Cart Closed"],
                ["Cart Viewed", "Product Added", "Cart Closed"],
                ["$page", "Product Added"],
                ["Cart Viewed"],
            ]
        )
        for index, name in enumerate(names):
            body = message(chance.choice([0, 9_000]) + 10 * index, name, who, f"{who}-{index}")
            body["anonymousId"] = body.pop("userId")
            lines.append(json.dumps(body).encode() + b"\n")
    return lines


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled and repeated"])
def test_visitors_have_a_key_while_there_is_something_to_say(
    job: Job, tmp_path: Path, redis_client: redis.Redis, shuffled: bool
) -> None:
    chance = random.Random(11)
    lines = visits(300, chance)
    if shuffled:
        lines += lines[::3]
        chance.shuffle(lines)
    (tmp_path / "log.jsonl").write_bytes(b"".join(lines))
    (tmp_path / "segments.yaml").write_text(VISITED)
    flags = f"{tmp_path}/log.jsonl", f"{tmp_path}/segments.yaml", "--as_of=2026-03-02T14:45:00Z"
    counts = job.run(*flags, "--idle_ttl=2d")
    profiles, history = job.profiles(), job.rows()
    in_redis = {(p, s): m["entered_at"] for p, f in profiles.items() for s, m in f["segments"].items()}
    assert in_redis == members_of(history)
    assert len({row["profile_id"] for row in history}) > len({profile for profile, _ in in_redis}) > 20
    ever_said = {json.loads(line)["anonymousId"] for line in lines if b"Product Added" in line}
    ever_said |= {row["profile_id"] for row in history}
    assert profiles.keys() <= ever_said, "a page view makes no key"
    assert counts["redis_writes_skipped"] > 20
    kinds = Counter[str]()
    for profile, fields in profiles.items():
        left_ms = int(redis_client.pttl(f"segments:profile:{profile}"))
        if fields["segments"]:
            kinds["member"] += 1
            assert 399 * DAY_MS < left_ms <= 400 * DAY_MS
        elif fields.get("scores", "{}") != "{}":
            kinds["score"] += 1
            assert DAY_MS < left_ms <= 2 * DAY_MS
        else:
            kinds["version"] += 1
            assert fields.keys() == {"version", "segments"}  # the test's own reading adds the segments
            assert left_ms <= DAY_MS // 24
    assert set(kinds) == {"member", "score", "version"}

    before = {key: redis_client.hgetall(key) for key in redis_client.keys("segments:profile:*")}
    forgotten = [key for key in before if 0 < redis_client.pttl(key) <= 2 * DAY_MS]
    redis_client.delete(*forgotten)
    job.run(*flags, "--idle_ttl=2d")
    again = {(p, s): m["entered_at"] for p, f in job.profiles().items() for s, m in f["segments"].items()}
    assert again == in_redis, "keys that have expired, and a second run, change no membership"
