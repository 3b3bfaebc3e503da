"""The sample logs in data/, which only a checkout of the project has."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DEFINITIONS = ROOT / "definitions" / "segments.yaml"


class SampleLog(NamedTuple):
    """A log in data/, and a suggested edit of the definitions that changes its result visibly."""

    file: str
    as_of: str | None
    """The as-of instant; None for the job's default."""
    as_of_reason: str | None
    """The end of a sentence that says where that instant lies, and why."""
    segment: str
    line: str
    """A text that identifies the line to edit."""
    text: str
    """The text to replace on that line."""
    instead: str


LOGS = {
    "views": SampleLog(
        "shop_views_2019-10-01.jsonl.gz",
        "2019-10-01T03:30:00Z",
        "40 minutes after the log's last event, so that the last carts count as abandoned",
        "window_shopper",
        "distinct: {of: properties.product_id",
        "at_least: 5",
        "at_least: 8",
    ),
    "orders": SampleLog(
        "shop_orders_2010-2011.jsonl.gz",
        None,
        None,
        "high_value",
        "measure: spend_90d",
        "at_least: 500",
        "at_least: 1000",
    ),
    "week": SampleLog(
        "shop_week.jsonl.gz",
        "2026-03-09T00:00:00Z",
        "the end of the log's week",
        "cart_abandoner",
        'event: "*"',
        "during: 30m",
        "during: 10m",
    ),
}


def displayed_path(path: Path) -> str:
    """Returns a path for messages: relative if it is below the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
