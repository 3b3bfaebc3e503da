"""The views over the history, run in DuckDB on hand-made rows.

Each run of a job writes the rows of its own state. Versions grow within a run, and are higher in a later run.
A change is drawn as `+10` (entered at minute 10) or `-20` (exited at minute 20). `@v2` names another rule. A cause
other than an event follows.
"""

import functools
import json
import random
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import chain
from typing import Any, Literal, cast, get_args

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from segmentation.memberships import Cause, Change, change_id
from stores.history.views import view_sql

Row = dict[str, Any]
Stay = tuple[int, int | None, str]
"""Entered and exited at (minutes), and the rule's version at the entry."""

MINUTE_MS = 60_000
DUCKDB_TYPES = {"TIMESTAMP": "TIMESTAMPTZ", "INTEGER": "BIGINT"}


def read_schema(table: str) -> list[dict[str, str]]:
    text = resources.files("stores.history").joinpath(f"sql/{table}.schema.json").read_text(encoding="utf-8")
    schema: list[dict[str, str]] = json.loads(text)
    return schema


def rows_of(
    run: int,
    *changes: str,
    rule: str = "v1",
    profile: str = "ann",
    segment: str = "buyer",
    correction: bool = False,
) -> list[Row]:
    """Returns the rows of one run. `run` is the number of the run, which orders runs by their start."""
    rows = []
    for sequence, drawn in enumerate(changes, 1):
        moment, _, cause = drawn.partition(" ")
        minute, _, other_rule = moment[1:].partition("@")
        event_time_ms = int(minute) * MINUTE_MS
        message_id = None if cause in ("time", "rules") else f"message at {minute}"
        name: Literal["entered", "exited"] = "entered" if moment[0] == "+" else "exited"
        segment_version = other_rule or rule
        change = Change(
            change_id=change_id(profile, segment, name, event_time_ms, message_id, segment_version),
            profile_id=profile,
            segment=segment,
            change=name,
            event_time_ms=event_time_ms,
            processed_at_ms=run * 1000 * MINUTE_MS + sequence,
            expires_at_ms=event_time_ms + 30 * MINUTE_MS if name == "entered" else None,
            profile_version=run * 4096 + sequence,
            segment_version=segment_version,
            cause=cast(Cause, cause or "event"),
            message_id=message_id,
            correction=correction,
        )
        rows.append(change.row())
    return rows


@functools.cache
def duckdb_sql(view: str) -> str:
    (query,) = sqlglot.transpile(view_sql(view, "segment_changes"), read="bigquery", write="duckdb")
    return query


def read_view(name: str, rows: Iterable[Row], columns: str = "*") -> list[tuple[Any, ...]]:
    schema = read_schema("segment_changes")
    fields = ", ".join(
        f"{field['name']} {DUCKDB_TYPES.get(field['type'], field['type'])}"
        + (" NOT NULL" if field["mode"] == "REQUIRED" else "")
        for field in schema
    )
    values = [[row[field["name"]] for field in schema] for row in rows]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE segment_changes ({fields})")
        if values:
            placeholders = ", ".join([f"({', '.join('?' * len(schema))})"] * len(values))
            connection.execute(f"INSERT INTO segment_changes VALUES {placeholders}", list(chain(*values)))
        query = f"SELECT {columns} FROM ({duckdb_sql(name)}) ORDER BY entered_at, segment_version"
        return connection.execute(query).fetchall()


def stays(*runs: list[Row]) -> list[Stay]:
    rows = [row for run in runs for row in run]
    minute = f"epoch_ms({{}}) // {MINUTE_MS}"
    columns = f"{minute.format('entered_at')}, {minute.format('exited_at')}, segment_version"
    return [tuple(row) for row in read_view("segment_intervals", rows, columns)]


def test_each_entry_pairs_with_the_exit_that_follows():
    assert stays(rows_of(1, "+10", "-20 time", "+30", "-45")) == [(10, 20, "v1"), (30, 45, "v1")]


def test_a_stay_without_an_exit_is_open():
    assert stays(rows_of(1, "+10", "-20", "+30")) == [(10, 20, "v1"), (30, None, "v1")]


def test_profiles_and_segments_do_not_mix():
    rows = [
        *rows_of(1, "+10", profile="ann"),
        *rows_of(1, "-20", profile="bob"),
        *rows_of(1, "+5", "-25", segment="visitor"),
    ]
    found = read_view("segment_intervals", rows, "profile_id, segment, exited_at IS NULL")
    assert found == [("ann", "visitor", False), ("ann", "buyer", True)]


def test_a_stay_has_the_columns_of_its_two_rows():
    rows = rows_of(1, "+10") + rows_of(2, "-20 late_event", correction=True)
    (stay,) = read_view(
        "segment_intervals",
        rows,
        "profile_id, segment, segment_version, epoch_ms(expires_at), entered_by, exited_by, "
        "entered_message_id, exited_message_id, entered_correction, exited_correction, "
        "entered_change_id, exited_change_id, exited_segment_version",
    )
    entered, exited = rows
    assert stay == (
        *("ann", "buyer", "v1", 40 * MINUTE_MS, "event", "late_event", "message at 10", "message at 20"),
        *(False, True, entered["change_id"], exited["change_id"], "v1"),
    )


def test_an_open_stay_has_no_word_of_an_exit():
    (stay,) = read_view(
        "segment_intervals",
        rows_of(1, "+10") + rows_of(2, "+15", "-20"),
        "exited_at, exited_by, exited_message_id, exited_correction, exited_change_id, "
        "exited_segment_version",
    )[:1]
    assert stay == (None,) * 6


# Repeats


def test_a_retried_write_adds_nothing():
    rows = rows_of(1, "+10", "-20", "+20", "-30")
    retried = [row | {"processed_at": "2026-01-31T12:00:00.000Z"} for row in rows]
    assert stays(rows, retried) == [(10, 30, "v1")]


def test_a_retried_bundle_that_counted_on_adds_nothing():
    assert stays(rows_of(1, "+10", "-20", "+30"), rows_of(2, "-20", "+30", "-40")) == [
        (10, 20, "v1"),
        (30, 40, "v1"),
    ]


def test_the_same_log_run_twice_adds_nothing():
    changes = ("+10", "-20 time", "+30", "-40", "+50")
    assert stays(rows_of(1, *changes), rows_of(2, *changes)) == [
        (10, 20, "v1"),
        (30, 40, "v1"),
        (50, None, "v1"),
    ]


def test_the_first_of_repeated_rows_is_kept():
    first, second = rows_of(1, "+10", "-20"), rows_of(2, "+10", "-20")
    second[0]["cause"] = "late_event"
    (stay,) = read_view("segment_intervals", second + first, "entered_by")
    assert stay == ("event",)


def test_a_longer_log_ends_what_a_shorter_one_left_open():
    assert stays(rows_of(1, "+10"), rows_of(2, "+10", "-20", "+30")) == [(10, 20, "v1"), (30, None, "v1")]


def test_a_shorter_log_does_not_open_again_what_a_longer_one_ended():
    assert stays(rows_of(1, "+10", "-20"), rows_of(2, "+10")) == [(10, 20, "v1")]


def test_events_of_the_same_instant_in_another_order_begin_one_stay():
    first, second = rows_of(1, "+10", "-20"), rows_of(2, "+10", "-20")
    second[0] |= {"change_id": "another", "message_id": "another message at 10"}
    assert stays(first, second) == [(10, 20, "v1")]


# Edited rules


def test_a_second_run_under_an_edited_rule_tells_its_own_stays():
    first = rows_of(1, "+10", "-20", "+30", rule="v1")
    second = rows_of(2, "+12", "-17", "+32", "-37", rule="v2")
    assert stays(first, second) == [(10, 20, "v1"), (12, 17, "v2"), (30, None, "v1"), (32, 37, "v2")]


def test_an_open_stay_is_not_ended_by_a_later_run_under_an_edited_rule():
    assert stays(rows_of(1, "+10"), rows_of(2, "+5@v2", "-15@v2")) == [(5, 15, "v2"), (10, None, "v1")]


def test_a_rule_edited_beside_it_repeats_no_stay_of_a_segment():
    unchanged = [rows_of(run, "+10", "-20", segment="unchanged") for run in (1, 2)]
    edited = [rows_of(run, "+10", "-20", rule=f"v{run}", segment="edited") for run in (1, 2)]
    rows = [row for run in unchanged + edited for row in run]
    found = read_view("segment_intervals", rows, "segment, segment_version")
    assert sorted(found) == [("edited", "v1"), ("edited", "v2"), ("unchanged", "v1")]


def test_a_run_under_the_old_rule_again_ends_the_stay_of_the_first_run():
    runs = rows_of(1, "+10"), rows_of(2, "+5@v2", "-15@v2"), rows_of(3, "+10", "-20")
    assert stays(*runs) == [(5, 15, "v2"), (10, 20, "v1")]


@pytest.mark.parametrize("cause", ["rules", "event", "time"])
def test_a_rule_edited_in_place_ends_what_began_under_the_old_one(cause):
    assert stays(rows_of(1, "+10", f"-20@v2 {cause}", "+30@v2", "-40@v2")) == [(10, 20, "v1"), (30, 40, "v2")]


def test_the_exit_of_a_rule_edited_in_place_names_its_version():
    found = read_view(
        "segment_intervals", rows_of(1, "+10", "-20@v2"), "segment_version, exited_segment_version"
    )
    assert found == [("v1", "v2")]


def test_a_rule_edited_in_place_and_back_keeps_its_stays_apart():
    rows = rows_of(1, "+10", "-20@v2 rules", "+30@v2", "-40 rules", "+50")
    assert stays(rows) == [(10, 20, "v1"), (30, 40, "v2"), (50, None, "v1")]


def test_a_rule_edited_in_place_and_the_old_log_run_again():
    live = rows_of(1, "+10", "-20@v2 rules", "+30@v2")
    again = rows_of(2, "+10", "-25", "+50")
    assert stays(live, again) == [(10, 20, "v1"), (30, None, "v2"), (50, None, "v1")]


# Corrections, lengths of zero, neighbours


def test_a_correction_ends_and_begins_stays_at_the_clock():
    late = rows_of(1, "+10", "-20 late_event", "+25 late_event", correction=True)
    assert stays(late) == [(10, 20, "v1"), (25, None, "v1")]
    flags = read_view("segment_intervals", late, "entered_correction, exited_correction")
    assert flags == [(True, True), (True, None)]


def test_a_stay_of_length_zero_is_none():
    assert stays(rows_of(1, "+10", "-10", "+20", "-30")) == [(20, 30, "v1")]


def test_an_entry_taken_back_and_made_again_at_the_same_instant_counts_once():
    assert stays(rows_of(1, "+10", "-10 late_event", "+10 late_event", "-30")) == [(10, 30, "v1")]


def test_a_stay_that_begins_where_the_last_one_ended_continues_it():
    rows = rows_of(1, "+10", "-20", "+20", "-30", "+30", "-40 time")
    assert stays(rows) == [(10, 40, "v1")]
    found = read_view("segment_intervals", rows, "entered_message_id, exited_by, exited_change_id")
    assert found == [("message at 10", "time", rows[-1]["change_id"])]


def test_a_stay_that_continues_and_has_not_ended_is_open():
    assert stays(rows_of(1, "+10", "-20 time", "+20")) == [(10, None, "v1")]


def test_a_length_of_zero_between_neighbours_does_not_part_them():
    assert stays(rows_of(1, "+10", "-20 time", "+20", "-20", "+20", "-30")) == [(10, 30, "v1")]


def test_neighbours_of_two_runs_under_different_rules_stay_apart():
    """Such as a rule and its opposite."""
    assert stays(rows_of(1, "+10", "-20"), rows_of(2, "+20@v2", "-30@v2")) == [(10, 20, "v1"), (20, 30, "v2")]


def test_a_millisecond_between_two_stays_parts_them():
    rows = rows_of(1, "+10", "-20", "+20", "-30")
    rows[2]["event_time"] = "1970-01-01T00:20:00.001Z"
    assert stays(rows) == [(10, 20, "v1"), (20, 30, "v1")]


def true_stays() -> st.SearchStrategy[list[tuple[int, int]]]:
    """Stays that neither touch nor overlap."""
    instants = st.lists(st.integers(1, 99), unique=True, max_size=12).map(sorted)
    return instants.map(lambda found: list(zip(found[::2], found[1::2], strict=False)))


def changes_until(stays: list[tuple[int, int]], as_of: int, chance: random.Random) -> Iterator[str]:
    """Yields the changes up to `as_of`, here and there with stays of length zero and needless partings."""
    for entered, exited in stays:
        if entered <= as_of:
            yield from [f"+{entered} event", f"-{entered} late_event"] * chance.randint(0, 1)
            yield f"+{entered}"
            if entered + 1 < min(exited, as_of) and chance.random() < 0.3:
                yield from [f"-{entered + 1} late_event", f"+{entered + 1} late_event"]
        if exited <= as_of:
            yield f"-{exited} time"


@given(
    truth=st.fixed_dictionaries({"v1": true_stays(), "v2": true_stays()}),
    runs=st.lists(st.tuples(st.sampled_from(["v1", "v2"]), st.integers(1, 100)), min_size=1, max_size=4),
    chance=st.randoms(use_true_random=False),
)
def test_any_runs_retries_and_order_of_rows_give_the_stays_up_to_the_latest_end(truth, runs, chance):
    rows = [
        row
        for run, (rule, as_of) in enumerate(runs, 1)
        for row in rows_of(run, *changes_until(truth[rule], as_of, chance), rule=rule)
    ]
    rows += chance.sample(rows, len(rows) // 2)
    chance.shuffle(rows)

    expected = []
    for rule in dict(runs):
        end = max(as_of for other, as_of in runs if other == rule)
        expected += [(a, b if b <= end else None, rule) for a, b in truth[rule] if a <= end]
    assert stays(rows) == sorted(expected, key=lambda stay: (stay[0], stay[2]))


# The files


def test_the_placeholder_is_the_only_thing_to_fill():
    query = view_sql("segment_intervals", "shop.live.segment_changes")
    assert "`shop.live.segment_changes`" in query
    assert "$" not in query
    assert "%{" not in query  # a directive of Terraform's templatefile


def test_an_unknown_view_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="no view 'intervals'; there are: segment_intervals"):
        view_sql("intervals", "segment_changes")


@pytest.mark.parametrize("table", ["", "a`b", "a\nb", "a\\b"])
def test_a_table_that_cannot_stand_between_backticks_is_refused(table):
    with pytest.raises(ValueError, match=r"expected a table as project\.dataset\.table"):
        view_sql("segment_intervals", table)


def test_the_history_schema_has_the_columns_of_a_row():
    schema = read_schema("segment_changes")
    (row,) = rows_of(1, "+10")
    assert [field["name"] for field in schema] == list(row)
    assert {field["name"] for field in schema if field["mode"] == "NULLABLE"} == {"expires_at", "message_id"}


def test_the_history_schema_names_every_cause():
    (cause,) = [field for field in read_schema("segment_changes") if field["name"] == "cause"]
    named = cause["description"].rstrip(".").replace(" or ", ", ").split(", ")
    assert named == list(get_args(Cause))


def test_the_dead_letter_schema_has_the_columns_of_a_dead_letter():
    assert [(field["name"], field["type"]) for field in read_schema("dead_letters")] == [
        ("payload", "STRING"),
        ("encoding", "STRING"),
        ("step", "STRING"),
        ("reason", "STRING"),
        ("message", "STRING"),
        ("received_at", "TIMESTAMP"),
        ("attributes", "JSON"),
    ]


@pytest.mark.parametrize("table", ["segment_changes", "dead_letters"])
def test_every_column_is_described(table):
    for field in read_schema(table):
        assert field.keys() == {"name", "type", "mode", "description"}
        assert field["description"].endswith(".")
