"""A hostile log through the main job: bad lines are kept whole, good ones are processed, nothing else happens."""

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from pipeline.main import main
from tests.pipeline import hostile_but_good
from tests.pipeline.hostile import Line, malformed, message, profile_of, written
from transforms.step_metrics import reset_totals, total_counts

BAD, GOOD = malformed(), hostile_but_good.good()
AS_OF = "2026-03-03T00:00:00Z"
RULES = """
version: 1
measures:
  events: {event: "*", count: {}}
  last_n: {event: "*", last: {of: properties.n}}
  different: {event: "*", distinct: {of: "properties.products[]"}}
  spent: {event: "*", within: 400d, sum: {of: "properties.products[].price"}}
scores:
  points: {half_life: 1s, earn: [{event: "*", points: {of: properties.n, times: 1000}}]}
segments:
  everyone: {when: {event: "*"}}
  odd:
    when:
      event: "*"
      where:
        properties.n: {contains: a, starts_with: b, ends_with: c, matches: "^.*$", in: [1, true, x], at_least: 1}
        properties.deep: {not_equals: 5}
  twice:
    when:
      sequence: [{event: "*"}, {event: "*"}]
      within: 1h
      same: properties.products[].sku
export_traits: [plan, plan.a]
"""


class Outcome(NamedTuple):
    """What a run left behind."""

    counts: dict[str, int]
    dead_letters: list[dict[str, Any]]
    history: list[dict[str, Any]]

    def kept(self) -> Counter[tuple[bytes, str]]:
        """The payloads of the dead letters, as they came, each with its reason."""
        return Counter((_payload(row), row["reason"]) for row in self.dead_letters)


def _payload(row: dict[str, Any]) -> bytes:
    return base64.b64decode(row["payload"]) if row.get("encoding") == "base64" else row["payload"].encode()


class Job:
    """Runs the main job on lines."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._folder = folder
        self._redis_url = redis_url

    def flags(self, lines: list[Line], as_of: str) -> list[str]:
        log, rules = self._folder / "log.jsonl", self._folder / "rules.yaml"
        log.write_bytes(written(lines))
        rules.write_text(RULES)
        return [
            f"--events={log}",
            f"--segments={rules}",
            f"--redis_url={self._redis_url}",
            f"--history_path={self._folder}/history",
            f"--dead_letter_path={self._folder}/dead",
            f"--as_of={as_of}",
        ]

    def run(self, lines: list[Line], *flags: str, as_of: str = AS_OF) -> Outcome:
        reset_totals()
        status = main([*self.flags(lines, as_of), *flags])
        outcome = self.outcome()
        are_most = len(outcome.dead_letters) * 2 > outcome.counts["events_read"]
        assert status == (are_most and "--runner=FnApiRunner" not in flags)  # other runners have no summary
        return outcome

    def outcome(self) -> Outcome:
        return Outcome(total_counts(), self._rows("dead"), self._rows("history"))

    def _rows(self, prefix: str) -> list[dict[str, Any]]:
        files = sorted(self._folder.glob(f"{prefix}*"))
        assert files
        return [json.loads(line) for file in files for line in file.read_bytes().split(b"\n") if line]


@pytest.fixture
def job(tmp_path: Path, redis_url: str) -> Job:
    return Job(tmp_path, redis_url)


def stored(client: redis.Redis, line: Line) -> dict[str, Any]:
    """What Redis holds of the profile of a good line."""
    fields: dict[str, str] = client.hgetall(f"segments:profile:{profile_of(line)}")  # type: ignore[assignment]
    return {name: json.loads(text) if text[:1] in "{[" else text for name, text in fields.items()}


def test_every_bad_line_is_kept_once_and_whole_and_every_good_line_is_processed(
    job: Job, redis_client: redis.Redis
) -> None:
    lines = [line for pair in zip(BAD, GOOD, strict=False) for line in pair]
    lines += [*BAD[len(GOOD) :], *GOOD[len(BAD) :]]
    outcome = job.run(lines)
    assert outcome.kept() == Counter((line.payload, line.reason) for line in BAD)
    by_reason = Counter(f"events_dead_lettered_{line.reason}" for line in BAD)
    counted = {"events_read": len(lines), "events_parsed": len(GOOD), **by_reason}
    assert {name: outcome.counts[name] for name in counted} == counted
    assert redis_client.dbsize() == len(GOOD) + 1
    assert {row["profile_id"] for row in outcome.history} == {profile_of(line) for line in GOOD}
    for line in GOOD:
        profile = stored(redis_client, line)
        if line.note.startswith("timestamp: ") and line.note.removeprefix("timestamp:").strip() < "2025":
            assert profile.keys() == {"version"}  # silent for longer than profiles are kept
        else:
            assert profile["measures"]["events"] == 1, line.note
            assert profile["segments"].keys() == {"everyone"}, line.note


def test_a_runner_that_encodes_everything_gives_the_same(job: Job, redis_client: redis.Redis) -> None:
    outcome = job.run([*BAD, *GOOD], "--runner=FnApiRunner")
    assert outcome.kept() == Counter((line.payload, line.reason) for line in BAD)
    assert {row["profile_id"] for row in outcome.history} == {profile_of(line) for line in GOOD}
    assert redis_client.dbsize() == len(GOOD) + 1


def test_numbers_stay_what_they_are(job: Job, redis_client: redis.Redis) -> None:
    lines = {
        text: Line(message(properties=f'{{"n":{text}}}'), None, text) for text in hostile_but_good.NUMBERS
    }
    job.run(list(lines.values()))
    served = {text: stored(redis_client, line)["measures"]["last_n"] for text, line in lines.items()}
    for text, value in served.items():
        if re.fullmatch(r"-?\d{1,600}", text):
            assert value == int(text)
        elif re.fullmatch(r"-?\d{1,4000}", text):
            assert str(value).startswith("sha256:")
        else:
            assert value == pytest.approx(float(text)) or value is None
    whole = [str(value) for text, value in served.items() if re.fullmatch(r"-?\d{1,4000}", text)]
    assert len(set(whole)) == len(whole)


def test_ids_that_differ_in_the_last_digit_are_distinct(job: Job, redis_client: redis.Redis) -> None:
    same = ["9007199254740992", "9007199254740992.0", "9.007199254740992e15"]
    others = [
        "9007199254740993",
        '"9007199254740993"',
        "18446744073709551616",
        "18446744073709551617",
        "1",
        "true",
    ]
    line = Line(message(properties=f'{{"products":[{",".join(same + others)}]}}'), None, "ids")
    job.run([line])
    assert stored(redis_client, line)["measures"]["different"] == 1 + len(others)


def test_nothing_at_the_prices_of_odd_products_is_a_number(job: Job, redis_client: redis.Redis) -> None:
    odd = [Line(message(properties=f'{{"products":{one}}}'), None, one) for one in hostile_but_good.PRODUCTS]
    job.run(odd)
    assert {stored(redis_client, line)["measures"]["spent"] for line in odd} == {0}


def test_the_ends_of_time(job: Job, redis_client: redis.Redis) -> None:
    first, last = "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"
    early, late = (Line(message(timestamp=f'"{text}"'), None, text) for text in (first, last))
    user = '"shopper-of-all-times"'
    both = [Line(message(userId=user, timestamp=f'"{text}"'), None, text) for text in (last, first)]
    outcome = job.run([early, late, *both], as_of=last)
    assert stored(redis_client, early).keys() == {"version"}
    assert stored(redis_client, late)["updated_at"] == last
    assert stored(redis_client, both[0])["measures"]["events"] == 2
    rows = [(row["event_time"], row["change"], row["cause"]) for row in outcome.history]
    assert rows.count((first, "entered", "event")) == 1
    assert rows.count(("0002-02-05T00:00:00.000Z", "exited", "forgotten")) == 1


def test_the_log_of_the_process_names_nobody(job: Job) -> None:
    lines = [*BAD, *GOOD]
    command = [sys.executable, "-m", "pipeline.main", *job.flags(lines, AS_OF)]
    result = subprocess.run(command, capture_output=True)
    assert result.returncode == (len(BAD) > len(GOOD)), result
    assert job.outcome().kept().total() == len(BAD)
    said = (result.stdout + result.stderr).decode()
    fields = {"messageId", "anonymousId", "timestamp", "properties", "products", "segments"}
    for line in lines:
        words = set(re.findall(r"[^\s\"\\{}\[\]:,]{8,}", line.data.decode("utf-8", "replace"))) - fields
        assert not [word for word in words if word in said], line.note
