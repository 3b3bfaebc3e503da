"""What the live system costs on paper: the sums, and that the page is what the command writes."""

import copy
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from benchmarks import results
from benchmarks.cost import page
from benchmarks.cost.__main__ import main
from benchmarks.cost.prices import PRICES, Prices, PricesError, read_prices
from benchmarks.cost.reckon import MILLION, Cost, Line, reckon, total
from benchmarks.cost.volumes import Volumes, count_volumes
from benchmarks.results import Report, figure

VOLUMES = Volumes(
    events=10,
    event_bytes=1008,
    snapshots_per_event=0.5,
    snapshot_bytes=100,
    changes_per_event=0.25,
    row_bytes=472,
    state_bytes=300,
)
ASSUMED = {
    "harness_factor": 2,
    "utilization": 0.5,
    "memory_gib_per_vcpu": 4,
    "message_overhead_bytes": 16,
    "shuffles": 2,
    "redis_bytes_per_profile": 2**20,
    "redis_headroom": 2,
}
REPORT = results.report("python -m benchmarks", [])


def reports(**figures: list[tuple[str, float, str]]) -> dict[str, Report]:
    """Returns reports of benchmarks, whose figures have a name, a value and a unit."""
    return {
        benchmark: msgspec.structs.replace(
            REPORT, figures=[figure(name, [value], unit) for name, value, unit in named]
        )
        for benchmark, named in figures.items()
    }


MEASURED = reports(
    fold=[("parse_event of the line", 10, "µs per event"), ("pure fold", 5, "µs per event")],
    steps=[("UpdateProfiles ÷ (bare cell + pure fold)", 1.3, "×"), ("UpdateProfiles", 80, "µs per event")],
    redis_writer=[
        ("WriteSegments, the whole step", 12, "µs per snapshot"),
        ("SegmentStore with Redis on the same machine: elapsed", 20_000, "snapshots/s"),
    ],
    history=[("InsertRows", 16, "µs per row")],
)
SAID = yaml.safe_load(PRICES.read_text(encoding="utf-8"))


def prices(**changed: float | None) -> Prices:
    """Returns the file with the assumptions of these tests, and with prices changed."""
    said = copy.deepcopy(SAID)
    for name, value in ASSUMED.items():
        said["assumptions"][name]["value"] = value
    for name, dollars in changed.items():
        said["prices"][name]["dollars"] = dollars
    return Prices.model_validate(said)


def line(lines: list[Line], what: str) -> Line:
    (found,) = [one for one in lines if one.what.startswith(what)]
    return found


@pytest.fixture(scope="module")
def kept() -> Cost:
    return reckon(results.load(), count_volumes(), read_prices())


def test_an_event_takes_the_time_of_each_step_as_often_as_it_takes_the_step() -> None:
    cost = reckon(MEASURED, VOLUMES, prices(dataflow_vcpu_hour=0.36, dataflow_memory_gib_hour=0.01))
    assert [one.quantity for one in cost.python] == [10, 80, 6, 4]
    # 100 µs, times 2 for the harness, by half of a vCPU: 400 s for a million.
    vcpus = line(cost.per_million_events, "Dataflow: vCPUs")
    assert vcpus.quantity == pytest.approx(400 / 3600)
    assert vcpus.dollars == pytest.approx(0.04)
    assert line(cost.per_million_events, "Dataflow: memory").dollars == pytest.approx(4 * 400 / 3600 * 0.01)
    assert [rate.vcpus for rate in cost.at_rates] == pytest.approx([0.04, 0.4, 4, 40])


def test_bytes_are_billed_by_what_carries_them() -> None:
    cost = reckon(MEASURED, VOLUMES, prices(pubsub_tib=2**40, pubsub_bigquery_tib=2**41))
    events = line(cost.per_million_events, "Pub/Sub: events in")
    assert events.dollars == pytest.approx(1024 * MILLION)
    assert line(cost.per_million_events, "Pub/Sub: raw events").dollars == pytest.approx(2 * 1024 * MILLION)
    changes = line(cost.per_million_events, "Pub/Sub: changes")
    assert changes.dollars == pytest.approx((472 + 16) / 4 * MILLION)
    engine = line(cost.per_million_events, "Dataflow: Streaming Engine")
    assert engine.quantity == pytest.approx((2 * 1024 + 2 * 300 + 50 + 122) * MILLION / 2**30)


def test_a_row_counts_as_a_kib_at_least_and_not_by_the_storage_write_api() -> None:
    cost = reckon(
        MEASURED, VOLUMES, prices(bigquery_streaming_insert_gib=2**30, bigquery_storage_write_gib=2**30)
    )
    assert line(cost.per_million_events, "BigQuery: inserts").dollars == pytest.approx(1024 / 4 * MILLION)
    assert line(cost.instead, "BigQuery: inserts").dollars == pytest.approx(472 / 4 * MILLION)


def test_what_is_kept_costs_less_after_ninety_days() -> None:
    both = {"bigquery_active_storage_gib_month": 2, "bigquery_long_term_storage_gib_month": 1}
    kept = line(reckon(MEASURED, VOLUMES, prices(**both)).per_million_events, "BigQuery: raw events")
    gib, day = 1024 * MILLION / 2**30, 24 / 730
    assert kept.quantity == pytest.approx(gib * 400 * day)
    assert kept.dollars == pytest.approx(gib * (90 * 2 + 310 * 1) * day)


def test_redis_costs_by_the_tier_that_its_size_is_in() -> None:
    said = {f"redis_{tier}_gib_hour": 10 - index for index, tier in enumerate(("m1", "m2", "m3", "m4", "m5"))}
    cost = reckon(MEASURED, VOLUMES, prices(**said))
    # 2 MiB a profile.
    assert [one.quantity for one in cost.per_profiles] == [1954, 19532, 97657, 195313]
    assert cost.per_profiles[0].dollars == 1954 * 730 * 6
    assert line(cost.standing, "Redis").dollars == 5 * 730 * 9


def test_a_kib_more_in_each_message_costs_what_carries_it() -> None:
    cost = reckon(MEASURED, VOLUMES, prices())
    longer = reckon(MEASURED, VOLUMES._replace(event_bytes=1008 + 1024), prices())
    more = total(longer.per_million_events)[0] - total(cost.per_million_events)[0]
    assert line(cost.instead, "One KiB").dollars == pytest.approx(more)
    assert more > 0


def test_limits_are_reached_where_an_event_takes_all_of_them() -> None:
    reached = {one.what: one.quantity for one in reckon(MEASURED, VOLUMES, prices()).reaches}
    assert reached["Pub/Sub, publishing in a large region"] == pytest.approx(200e6 / 1024)
    assert reached["BigQuery, streaming inserts"] == pytest.approx(100_000 / 0.25)
    assert reached["Redis, snapshots into one primary"] == pytest.approx(40_000)


# What is not known


def test_a_step_that_was_not_measured_is_left_out_and_named() -> None:
    cost = reckon({name: MEASURED[name] for name in ("fold", "steps")}, VOLUMES, prices())
    assert [one.quantity for one in cost.python] == [10, 80, None, None]
    assert cost.at_rates[0].vcpus == pytest.approx(0.036)
    shown = page.markdown(cost)
    assert "| WriteSegments | not known yet |" in shown
    assert "without WriteSegments and WriteHistory, which `make bench` has not measured yet" in shown
    assert "The figures below include all steps." in page.markdown(reckon(MEASURED, VOLUMES, prices()))


def test_without_a_price_a_line_is_left_out_of_the_sum_and_named() -> None:
    without = reckon(MEASURED, VOLUMES, prices(dataflow_streaming_engine_gib=None))
    sum_with, missing = total(
        reckon(MEASURED, VOLUMES, prices(dataflow_streaming_engine_gib=1)).per_million_events
    )
    assert missing == []
    engine = line(without.per_million_events, "Dataflow: Streaming Engine")
    assert engine.dollars is None
    assert engine.quantity is not None
    sum_without, missing = total(without.per_million_events)
    assert missing == ["Dataflow: Streaming Engine"]
    assert sum_without == pytest.approx(sum_with - engine.quantity)
    shown = page.markdown(without)
    assert "**total, without Dataflow: Streaming Engine**" in shown
    assert "| dataflow_streaming_engine_gib | not found |" in shown


def test_a_renamed_figure_is_an_error() -> None:
    renamed = MEASURED | reports(fold=[("parse of the line", 10, "µs per event")])
    with pytest.raises(PricesError, match="0 figures of fold that begin with 'parse_event of the line'"):
        reckon(renamed, VOLUMES, prices())


# The files


def test_figures_that_are_kept_have_the_names_that_are_looked_for(kept: Cost) -> None:
    assert [one.quantity is not None for one in kept.python[:2]] == [True, True]


@pytest.mark.parametrize(
    "kind, field", [("prices", "dollars"), ("limits", "limit"), ("assumptions", "value")]
)
def test_every_price_limit_and_assumption_counts(kind: str, field: str) -> None:
    """Each changes what the page shows before it lists them."""

    def reckoned(said: dict[str, Any]) -> str:
        cost = reckon(MEASURED, VOLUMES, Prices.model_validate(said))
        return page.markdown(cost).partition("## Prices")[0]

    before = reckoned(SAID)
    for name, entry in SAID[kind].items():
        changed = copy.deepcopy(SAID)
        changed[kind][name][field] = 1000 * (entry[field] or 1)
        assert reckoned(changed) != before, name


def test_what_is_taken_for_terraforms_defaults_is_so(kept: Cost) -> None:
    text = Path("terraform/variables.tf").read_text(encoding="utf-8")
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}$', text, re.MULTILINE | re.DOTALL)
    defaults = {
        name: int(found[1])
        for name, body in blocks
        if (found := re.search(r"^  default += (\d+)$", body, re.M))
    }
    assert kept.prices.assumed("event_retention_days") == defaults["event_retention_days"]
    assert kept.prices.assumed("raw_event_days") == defaults["raw_events_expiration_days"]
    assert kept.prices.assumed("history_days") == defaults["history_expiration_days"]
    assert line(kept.standing, "Redis").quantity == defaults["redis_memory_gb"]
    assert "every_minutes = optional(number, 5)" in text
    assert 'machine_type = optional(string, "n2-standard-2")' in text


def test_the_page_is_what_the_command_writes(kept: Cost) -> None:
    assert page.markdown(kept) in page.DOC.read_text(encoding="utf-8"), "run `python -m benchmarks.cost`"


def test_the_command_prints_with_prices_of_ones_own_and_leaves_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "keep", lambda *_: pytest.fail("written"))
    monkeypatch.setattr("benchmarks.cost.__main__.count_volumes", lambda: VOLUMES)
    own = tmp_path / "prices.yaml"
    own.write_text(PRICES.read_text().replace("dollars: 40,", "dollars: 400,"))
    assert main([f"--prices={own}"]) == 0
    assert "| pubsub_tib | 400 | TiB |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, said",
    [
        ("prices: {}", "region: Field required"),
        ("region: [", "cannot be read"),
        (PRICES.read_text().replace("dollars: 40,", "dollars: -1,"), "prices.pubsub_tib.dollars"),
        (PRICES.read_text().replace("per: TiB", "pro: TiB"), "prices.pubsub_tib.pro: Extra inputs"),
        (PRICES.read_text().replace("value: 0.7", "value: null"), "assumptions.utilization.value is missing"),
    ],
)
def test_a_file_without_prices_is_an_error(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.cost.__main__.count_volumes", lambda: VOLUMES)
    own = tmp_path / "prices.yaml"
    own.write_text(text)
    assert main([f"--prices={own}"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "value, digits, dollars",
    [(0, "0", "0.00"), (0.0123456, "0.0123", "0.012"), (9.876, "9.88", "9.88"), (1234.5, "1,230", "1,234")],
)
def test_numbers_have_the_digits_that_count(value: float, digits: str, dollars: str) -> None:
    assert page.significant(value) == digits
    assert page.money(value) == dollars
