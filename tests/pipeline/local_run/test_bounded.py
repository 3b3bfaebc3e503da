"""A bounded run on this machine ends with a summary, and with an explanation if most lines were refused."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from pipeline.config import Files, Log, SegmentationConfig, Table
from pipeline.local_run import bounded
from pipeline.main import main
from stores.redis.access import RedisTarget
from tests.events import START_MS, payload

RULES = "version: 1\nsegments:\n  pinged: {when: {event: Ping, within: 1h, count: {at_least: 1}}}\n"
PINGS = [payload(second, "Ping", user=f"u{second}") for second in range(4)]
LINES = b"\n".join(PINGS)
ROW = {"id": "m1", "user_id": "u1", "event": "ping", "event_text": "Ping", "original_timestamp": "2026-03-01"}


class Runs:
    """Runs `segments run` in a folder of its own."""

    def __init__(self, folder: Path, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._redis_url = redis_url
        self._capsys = capsys

    def keep(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def run(self, events: str, *flags: str, rules: str = RULES) -> tuple[int, list[str], list[str]]:
        """Returns the status, the lines of the summary, and what was said beside the progress."""
        self.keep("segments.yaml", rules.encode())
        argv = [
            f"--events={events}",
            f"--segments={self.folder}/segments.yaml",
            f"--redis_url={self._redis_url}",
            f"--history_path={self.folder}/out/history",
            f"--dead_letter_path={self.folder}/out/dead",
        ]
        status = main([*argv, *flags])
        shown = self._capsys.readouterr()
        progress, *said = shown.err.splitlines() or [""]
        assert status == 2 or progress.startswith("Processing ")
        return status, shown.out.splitlines(), said if status != 2 else [progress, *said]


@pytest.fixture
def runs(
    tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Runs:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):  # rich would believe in a terminal
        monkeypatch.delenv(name, raising=False)
    return Runs(tmp_path, redis_url, capsys)


def numbers(summary: list[str]) -> dict[str, int]:
    """Returns the counts of a summary by their names."""
    found = {}
    for line in summary[1:]:
        name, number = line[2:18].strip(), line[18:].split()[0].replace(",", "")
        if number.isdigit():
            found[name] = int(number)
    return found


# The summary


@pytest.mark.parametrize("profiles", [1, 40])
def test_a_log_whose_changes_all_come_by_time_alone(runs: Runs, profiles: int) -> None:
    rules = (
        "version: 1\nsegments:\n"
        "  left: {when: {sequence: [{event: Ping}], within: 1d, then_not: {event: '*', during: 30m}}}\n"
    )
    log = runs.keep("log.jsonl", b"\n".join(payload(0, "Ping", user=f"u{one}") for one in range(profiles)))
    status, summary, said = runs.run(log, "--as_of=2026-03-02T13:00:00Z", rules=rules)
    assert (status, said) == (0, [])
    assert numbers(summary)["entered"] == profiles
    rows = [
        json.loads(line)
        for file in (runs.folder / "out").glob("history-*.jsonl")
        for line in file.read_bytes().splitlines()
    ]
    assert [row["event_time"] for row in rows] == ["2026-03-02T12:30:00.000Z"] * profiles


def test_values_that_conditions_skip_are_counted_and_listed_on_request(runs: Runs) -> None:
    rules = (
        "version: 1\nmeasures: {spend: {event: Order Completed, sum: {of: properties.total}}}\nsegments:\n"
        "  rich: {when: {event: Order Completed, where: {properties.products.sku: A}, count: {at_least: 1}}}\n"
    )
    orders = [
        payload(1, "Order Completed", total="1,299.50", products=[{"sku": "A"}]),
        payload(2, "Order Completed", total="1,299.50"),
        payload(3, "Order Completed", total=5, products={"sku": "A"}),
    ]
    log = runs.keep("log.jsonl", b"\n".join(orders))
    status, summary, said = runs.run(log, rules=rules)
    assert (status, said, numbers(summary)["skipped values"]) == (0, [], 3)
    _, reported, _ = runs.run(log, "--report_skipped", rules=rules)
    assert [line.split(maxsplit=2) for line in reported[-2:]] == [
        ["2", "measures.spend", "properties.total is no number"],
        ["1", "segments.rich", "properties.products.sku is of another type"],
    ]
    assert reported[-3] == "skipped values, by definition:"
    _, reported, _ = runs.run(runs.keep("log.jsonl", orders[2]), "--report_skipped")
    assert reported[-2:] == ["skipped values, by definition:", "  none"]


def test_repeats_with_other_content_and_ignored_ids_are_counted(runs: Runs) -> None:
    lines = [
        payload(1, "Ping", user="u1", message_id="m"),
        payload(1, "Ping", user="u1", message_id="m"),
        payload(2, "Ping", user="u1", message_id="m", page=2),
        payload(3, "Ping", user="u2").replace(b'"u2"', b'"undefined","anonymousId":"device"'),
    ]
    _, summary, _ = runs.run(runs.keep("log.jsonl", b"\n".join(lines)))
    counted = numbers(summary)
    assert (counted["repeated"], counted["differing"], counted["ignored ids"]) == (2, 1, 1)


def test_a_list_of_ignored_ids_replaces_the_default_one(runs: Runs) -> None:
    lines = [
        payload(1, "Ping", user="shopper").replace(b'"userId"', b'"anonymousId":"device","userId"'),
        payload(2, "Ping", user="undefined"),
    ]
    ignored = runs.keep("ignored.txt", b"Shopper\n")
    runs.run(runs.keep("log.jsonl", b"\n".join(lines)), f"--ignored_ids={ignored}")
    (history,) = (runs.folder / "out").glob("history-*.jsonl")
    rows = map(json.loads, history.read_bytes().splitlines())
    assert {row["profile_id"] for row in rows} == {"device", "undefined"}


def test_a_run_ends_with_what_it_did_and_where_that_is(runs: Runs) -> None:
    late, repeat = payload(1, "Viewed", user="u3"), payload(3, "Ping", user="u3")
    log = runs.keep("log.jsonl", b"\n".join([*PINGS, late, repeat, b"{}", b"no", b"[]", b"no"]))
    status, summary, said = runs.run(log)
    assert (status, said) == (0, [])
    assert summary[0] == f"{log}, as of 2026-03-02T12:00:03.000Z"
    assert numbers(summary) == {
        "events read": 10,
        "dead letters": 4,
        "late": 1,
        "repeated": 1,
        "profiles": 4,
        "entered": 4,
        "exited": 0,
        "corrections": 0,
    }
    assert summary[2].endswith("with the reason: not_json 2, bad_type 1, not_an_object 1")
    (history,) = runs.folder.glob("out/history*")
    (dead,) = runs.folder.glob("out/dead*")
    assert summary[-3:] == [
        "  Redis             keys segments:profile:PROFILE_ID, stream segments:changes",
        f"  history           {history}",
        f"  dead letters      {dead}",
    ]
    assert "u3" not in "\n".join(summary)


def test_entered_and_exited_are_memberships_that_lasted_and_corrections_are_apart(runs: Runs) -> None:
    rules = (
        "version: 1\nsegments:\n"
        "  once: {when: {event: Ping, count: {at_least: 1, at_most: 1}}}\n"
        "  twice: {when: {event: Ping, count: {at_least: 2, at_most: 2}}}\n"
    )
    events = [
        payload(10, "Ping", message_id="a"),
        payload(10, "Ping", message_id="b"),  # out of once at the instant of its entry, and into twice
        payload(5, "Ping", message_id="c"),  # late: out of twice at the instant of its entry
        payload(20, "Viewed", user="u2"),
        payload(15, "Ping", user="u2"),  # late, and lasts
    ]
    status, summary, _ = runs.run(runs.keep("log.jsonl", b"\n".join(events)), rules=rules)
    counted = numbers(summary)
    assert status == 0
    assert (counted["entered"], counted["exited"], counted["corrections"], counted["momentary"]) == (
        1,
        0,
        2,
        2,
    )


def test_events_after_as_of_and_far_before_it_are_counted_if_there_are_any(runs: Runs) -> None:
    log = runs.keep("log.jsonl", b"\n".join([payload(-3600, "Ping"), payload(-3601, "Ping"), *PINGS]))
    status, summary, said = runs.run(
        log, "--as_of=2026-03-02T12:00:02Z", "--profile_ttl=3602s", rules=RULES.replace("1h", "1m")
    )
    assert (status, said) == (0, [])
    counted = numbers(summary)
    assert (counted["after as_of"], counted["far before as_of"], counted["events read"]) == (1, 1, 6)
    _, summary, _ = runs.run(log)
    assert not {"after as_of", "far before as_of", "momentary"} & numbers(summary).keys()


def test_a_glob_is_named_by_its_first_and_last_file(runs: Runs) -> None:
    for number in range(3):
        runs.keep(f"log-{number}.jsonl", PINGS[number])
    _, summary, _ = runs.run(f"{runs.folder}/log-*")
    first, last = (f"{runs.folder}/log-{number}.jsonl" for number in (0, 2))
    assert summary[0] == f"3 files, {first} to {last}, as of 2026-03-02T12:00:02.000Z"


def test_a_second_run_counts_anew(runs: Runs) -> None:
    log = runs.keep("log.jsonl", LINES)
    counted = [numbers(runs.run(log)[1]) for _ in range(2)]
    assert counted[0] == counted[1]


def test_several_files_of_an_output_are_named_by_their_pattern(runs: Runs) -> None:
    log = runs.keep("log.jsonl", LINES + b"\n" + payload(9000, "Viewed"))
    _, summary, _ = runs.run(log)  # the exits are written by another bundle
    files = list(runs.folder.glob("out/history*"))
    assert len(files) > 1
    run = files[0].name.split("-")[1]
    assert f"  history           {runs.folder}/out/history-{run}-*.jsonl ({len(files)} files)" in summary


def test_writes_that_redis_refused_are_in_the_summary(runs: Runs, redis_client: redis.Redis) -> None:
    log = runs.keep("log.jsonl", LINES)
    assert "stale writes" not in numbers(runs.run(log)[1])
    for user, processed_at in (("u0", "2026-03-01T00:00:00.000Z"), ("u1", "2999-01-01T00:00:00.000Z")):
        redis_client.hset(
            f"segments:profile:{user}", mapping={"version": 2**53 - 1, "processed_at": processed_at}
        )
    _, summary, _ = runs.run(log)
    assert {name: numbers(summary)[name] for name in ("stale writes", "taken over")} == {
        "stale writes": 2,
        "taken over": 1,
    }


def test_outputs_elsewhere_are_named() -> None:
    config = SegmentationConfig(
        source=Log(("log",), START_MS, "1"),
        rules_text=RULES,
        redis=RedisTarget("redis://:sesame@localhost"),
        redis_key_prefix="shop:",
        profile_ttl_ms=1,
        history=Table("shop:live.changes"),
        dead_letters=Files("gs://bucket/dead"),
        changes_topic="projects/shop/topics/changes",
    )
    assert isinstance(config.source, Log)
    assert list(bounded.summary(config, config.source, {}, 1.25))[-5:] == [
        "  seconds           1.2",
        "  Redis             keys shop:profile:PROFILE_ID, stream shop:changes",
        "  history           shop:live.changes",
        "  dead letters      gs://bucket/dead-1-*.jsonl",
        "  changes           projects/shop/topics/changes",
    ]


# Files as exports write them: they are read …


READ = {
    "gzip of two members": ("log.jsonl.gz", gzip.compress(LINES[:150]) + gzip.compress(LINES[150:])),
    "carriage returns": ("log.jsonl", LINES.replace(b"\n", b"\r\n") + b"\r\n"),
    "byte order mark": ("log.jsonl", b"\xef\xbb\xbf" + LINES),
    "byte order mark in gzip": ("log.jsonl.gz", gzip.compress(b"\xef\xbb\xbf" + LINES)),
    "plain lines named gz": ("log.jsonl.gz", LINES),
    "gzip named otherwise": ("log.jsonl", gzip.compress(LINES)),
    "gzip with padding": ("log.jsonl.gz", gzip.compress(LINES) + bytes(512)),
}


@pytest.mark.parametrize("name", READ)
def test_reads(runs: Runs, name: str) -> None:
    status, summary, said = runs.run(runs.keep(*READ[name]))
    assert (status, said) == (0, [])
    counted = numbers(summary)
    assert (counted["events read"], counted["dead letters"], counted["entered"]) == (4, 0, 4)


# … or refused by a sentence


def lines_of(content: object, **how: object) -> bytes:
    return json.dumps(content, **how).encode()  # type: ignore[arg-type]


MESSAGES = [json.loads(line) for line in PINGS]
REFUSED = {
    "UTF-16": ("log.jsonl", LINES.decode().encode("utf-16"), "text in UTF-16", "iconv -f UTF-16 -t UTF-8 < LOG"),
    "array": ("log.json", lines_of(MESSAGES), "a JSON array", "jq -c '.[]' < LOG"),
    "pretty array": ("log.json", lines_of(MESSAGES, indent=2), "a JSON array", "jq -c '.[]' < LOG"),
    "array with a message per line": (
        "log.json", b"[\n" + LINES.replace(b"\n", b",\n") + b"\n]\n", "a JSON array", "jq -c '.[]' < LOG",
    ),
    "array in gzip": ("log.gz", gzip.compress(lines_of(MESSAGES)), "a JSON array", "zcat < LOG | jq -c '.[]'"),
    "pretty objects": (
        "log.json", b"\n".join(lines_of(one, indent=2) for one in MESSAGES),
        "JSON with line ends inside the objects", "jq -c . < LOG",
    ),
    "CSV": ("log.csv", b"type,event,userId\ntrack,Ping,u1\n", "a table (CSV)", "JSON message on a line of its own"),
    "batch": (
        "log.jsonl", lines_of({"batch": MESSAGES, "sentAt": "2026-03-01T10:00:00Z"}),
        "bodies of an SDK's requests, with a batch each", "jq -c '.batch[]' < LOG",
    ),
    "rows": ("log.jsonl", lines_of(ROW), "rows of a warehouse, with columns such as user_id", "docs/bounded-run.md"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_says_what_the_file_is_and_how_to_make_a_log_of_it(runs: Runs, name: str) -> None:
    file, content, what, fix = REFUSED[name]
    log = runs.keep(file, content)
    status, summary, (count, cause) = runs.run(log)
    assert status == bounded.MOSTLY_REFUSED == 1
    assert " lines became dead letters (" in count
    assert cause.startswith(f"segments run: {log} looks like {what}, not like JSON lines of messages: ")
    assert fix.replace("LOG", log) in cause
    assert "u1" not in cause
    read = numbers(summary)
    assert read["dead letters"] * 2 > read["events read"] > 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed + b"trailing garbage",
    ],
    ids=["cut off", "trailing garbage"],
)
@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl"])
def test_refuses_a_damaged_gzip(runs: Runs, name: str, damage: Callable[[bytes], bytes]) -> None:
    log = runs.keep(name, damage(gzip.compress(LINES * 50)))
    status, summary, (said,) = runs.run(log)
    assert (status, summary) == (2, [])
    assert said.startswith(f"segments run: --events: {log} cannot be read: ")


def test_files_of_the_same_kind_are_named_once(runs: Runs) -> None:
    for number in range(3):
        runs.keep(f"log-{number}.json", lines_of(MESSAGES[:2]))
    runs.keep("log-3.csv", b"a,b\n1,2\n")
    status, _, said = runs.run(f"{runs.folder}/log-*")
    assert status == 1
    assert len(said) == 3
    assert said[1].startswith(
        f"segments run: {runs.folder}/log-0.json (and 2 more) looks like a JSON array, "
    )
    assert said[2].startswith(f"segments run: {runs.folder}/log-3.csv looks like a table (CSV), ")


def test_half_of_the_lines_are_not_most(runs: Runs) -> None:
    status, _, said = runs.run(runs.keep("log.jsonl", PINGS[0] + b"\nno"))
    assert (status, said) == (0, [])
    status, _, said = runs.run(runs.keep("log.jsonl", PINGS[0] + b"\nno\n\n{}\n{}"))
    assert (status, said[0]) == (1, "segments run: 3 of 4 lines became dead letters (bad_type 2, not_json 1)")


def test_without_a_cause_in_the_format_says_the_first_mistake_of_the_most_frequent_reason(runs: Runs) -> None:
    bad = [line.replace(b"messageId", b"id") for line in PINGS]
    status, _, said = runs.run(runs.keep("log.jsonl", b"\n".join([b"no", *bad])))
    assert status == 1
    assert said[1] == (
        "segments run: the most frequent reason is missing_message_id, first with the message “messageId: expected a"
        " non-empty text”; docs/dead-letters.md has the fix for every reason"
    )


def test_a_reason_that_is_not_of_the_format_is_said_too(runs: Runs) -> None:
    plan = runs.folder / "plan"
    plan.mkdir()
    (plan / "ping.yaml").write_text(
        "event: Ping\non_violation: reject\nschema: {properties: {properties: {required: [total]}}}\n"
    )
    status, _, said = runs.run(runs.keep("log.jsonl", LINES), f"--tracking_plan={plan}")
    assert status == 1
    assert said == [
        "segments run: 4 of 4 lines became dead letters (tracking_plan 4)",
        "segments run: the most frequent reason is tracking_plan; docs/dead-letters.md has the fix for every reason",
    ]


def test_a_path_is_quoted_for_the_shell(runs: Runs) -> None:
    log = runs.keep("a log's.json", lines_of(MESSAGES))
    _, _, said = runs.run(log)
    assert f"""jq -c '.[]' < '{runs.folder}/a log'"'"'s.json' > log.jsonl""" in said[1]


def test_a_file_on_gs_is_read_by_gcloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "read_head", lambda path, size: lines_of(MESSAGES))
    for packed, command in ((False, "jq -c '.[]'"), (True, "zcat | jq -c '.[]'")):
        monkeypatch.setattr(bounded, "is_packed_file", lambda path, packed=packed: packed)
        (sentence,) = bounded.causes(("gs://bucket/log",), "not_json")
        assert sentence.endswith(
            f"for example with gcloud storage cat gs://bucket/log | {command} > log.jsonl"
        )


# Nothing to process


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", gzip.compress(b""), b"\xef\xbb\xbf"],
    ids=["nothing", "blank lines", "gzip of nothing", "byte order mark"],
)
def test_an_empty_log_is_said_and_is_no_failure(runs: Runs, content: bytes) -> None:
    log = runs.keep("log.jsonl", content)
    status, summary, said = runs.run(log)
    assert status == 0
    assert said == [f"segments run: {log} is empty: there was no event to process"]
    assert numbers(summary)["events read"] == 0


def test_a_log_after_as_of_is_said_and_is_no_failure(runs: Runs) -> None:
    status, summary, said = runs.run(runs.keep("log.jsonl", LINES), "--as_of=2026-03-02T11:00:00Z")
    assert status == 0
    assert said == [
        "segments run: no event has a timestamp up to the as-of instant, so none was processed: give a later --as_of"
    ]
    assert numbers(summary)["after as_of"] == 4
