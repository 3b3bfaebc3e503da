"""Formats the generated part of docs/cost.md."""

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cost.reckon import AtRate, Cost, Line, total
from benchmarks.data import ROOT
from benchmarks.results import number

DOC = ROOT / "docs" / "cost.md"
_BEGIN = "<!-- The figures: written by `python -m benchmarks.cost` -->\n"
_END = "<!-- The end of the figures -->\n"
_UNKNOWN = "not known yet"
Rows = Sequence[Sequence[str]]


def keep(cost: Cost, doc: Path = DOC) -> None:
    """Writes the cost to the documentation."""
    before, _, rest = doc.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    doc.write_text(f"{before}{markdown(cost)}{after}", encoding="utf-8")


def markdown(cost: Cost) -> str:
    """Returns the part of the documentation with the cost."""
    parts = [
        "## Volume per event\n",
        _volumes(cost),
        "Measured processor time of the steps:\n",
        _table(("step", "µs per event"), [(line.what, _quantity(line)) for line in cost.python], right={1}),
        _unmeasured(cost),
        "## Cost of a million events\n",
        _priced(cost.per_million_events),
        _table(("not in the sum", "quantity", "dollars"), _rows(cost.instead), right={1, 2}),
        "## Cost of profiles per month\n",
        "These are profiles with a key in Redis: a visitor who only looks around has none"
        " ([redis.md](redis.md#keys)).\n",
        _table(("", "Redis", "dollars"), _rows(cost.per_profiles), right={1, 2}),
        "## Fixed cost per month\n",
        _priced(cost.standing),
        "## Cost by rate of events\n",
        "Dollars are for events, including the storage of their data over time. Profiles cost extra.\n",
        _table(
            (
                "events/s",
                "vCPUs",
                "workers",
                "dollars a month",
                "into Pub/Sub",
                "snapshots into Redis",
                "rows of history",
            ),
            [_at_rate(rate, cost) for rate in cost.at_rates],
            right=set(range(7)),
        ),
        "The rate of events at which each limit is reached:\n",
        _table(("limit", "events/s"), [(line.what, _quantity(line)) for line in cost.reaches], right={1}),
        "## Prices\n",
        f"List prices in {cost.prices.region}, without taxes, discounts and free volumes, looked up on"
        f" {cost.prices.looked_up.isoformat()}.\n",
        _prices(cost),
        "## Limits\n",
        _limits(cost),
        "## Assumptions\n",
        _assumptions(cost),
    ]
    return "".join([_BEGIN, "\n", *(f"{part}\n" for part in parts), _END])


def _unmeasured(cost: Cost) -> str:
    missing = [line.what for line in cost.python if line.quantity is None]
    if not missing:
        return "The figures below include all steps.\n"
    return (
        f"The figures below are without {' and '.join(missing)}, which `make bench` has not measured yet.\n"
    )


def _volumes(cost: Cost) -> str:
    volumes = cost.volumes
    rows = [
        ("bytes of the message", number(volumes.event_bytes)),
        ("snapshots into Redis", number(volumes.snapshots_per_event)),
        ("bytes of a snapshot", number(volumes.snapshot_bytes)),
        ("membership changes", number(volumes.changes_per_event)),
        ("bytes of a change", number(volumes.row_bytes)),
        ("bytes of a profile's state", number(volumes.state_bytes)),
    ]
    return _table((f"means over the {volumes.events:,} events of the sample log", ""), rows, right={1})


def _priced(lines: Sequence[Line]) -> str:
    dollars, missing = total(lines)
    without = f", without {', '.join(missing)}" if missing else ""
    rows = [*_rows(lines), (f"**total{without}**", "", f"**{money(dollars)}**")]
    return _table(("", "quantity", "dollars"), rows, right={1, 2})


def _rows(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    return [
        (
            line.what,
            f"{_quantity(line)} {line.unit}",
            "no price" if line.dollars is None else money(line.dollars),
        )
        for line in lines
    ]


def _quantity(line: Line) -> str:
    return _UNKNOWN if line.quantity is None else significant(line.quantity)


def _at_rate(rate: AtRate, cost: Cost) -> tuple[str, ...]:
    workers = math.ceil(rate.vcpus / cost.prices.assumed("vcpus_per_worker"))
    return (
        f"{rate.events_per_second:,}",
        significant(rate.vcpus),
        f"{workers:,}",
        money(rate.dollars_per_month),
        f"{significant(rate.published_bytes_per_second / 1e6)} MB/s",
        f"{significant(rate.snapshots_per_second)}/s",
        f"{significant(rate.rows_per_second)}/s",
    )


def _prices(cost: Cost) -> str:
    rows = [
        (
            name,
            "not found" if price.dollars is None else _plain(price.dollars),
            price.per,
            price.source,
            price.note or "",
        )
        for name, price in cost.prices.prices.items()
    ]
    return _table(("price", "dollars", "per", "source and date", "note"), rows, right={1})


def _limits(cost: Cost) -> str:
    rows = [
        (name, "as measured" if limit.limit is None else f"{limit.limit:,.0f}", limit.page, limit.note)
        for name, limit in cost.prices.limits.items()
    ]
    return _table(("limit", "value", "source", "note"), rows, right={1})


def _assumptions(cost: Cost) -> str:
    rows = [
        (name, "as in the log" if one.value is None else f"{one.value:g}", one.why)
        for name, one in cost.prices.assumptions.items()
    ]
    return _table(("assumption", "value", "reason"), rows, right={1})


def _plain(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _table(headings: Sequence[str], rows: Rows, right: set[int]) -> str:
    ruler = ["---:" if column in right else "---" for column in range(len(headings))]
    return "".join(f"| {' | '.join(row)} |\n" for row in [headings, ruler, *rows])


def significant(value: float) -> str:
    """Formats a number with three significant digits."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def money(dollars: float) -> str:
    """Formats dollars: from $1 with at most two decimals, below $1 with two significant digits."""
    if dollars >= 100:
        return f"{dollars:,.0f}"
    if dollars >= 1 or dollars == 0:
        return f"{dollars:.2f}"
    return f"{dollars:.{1 - math.floor(math.log10(dollars))}f}"
