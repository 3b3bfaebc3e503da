"""The sample logs of data/, in a checkout of the project."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DEFINITIONS = ROOT / "definitions" / "segments.yaml"


class SampleLog(NamedTuple):
    """A log of data/, and an edit of the definitions whose effect it shows well."""

    file: str
    as_of: str | None
    """The end of time; None: the job's default."""
    segment: str
    line: str
    """What stands on the line to edit."""
    text: str
    instead: str


LOGS = {
    # Who put goods into the cart in the log's last half hour is seen to abandon it only after the log's end.
    "views": SampleLog(
        "shop_views_2019-10-01.jsonl.gz",
        "2019-10-01T03:30:00Z",
        "window_shopper",
        "distinct: {of: properties.product_id",
        "at_least: 5",
        "at_least: 8",
    ),
    "orders": SampleLog(
        "shop_orders_2010-2011.jsonl.gz",
        None,
        "high_value",
        "measure: spend_90d",
        "at_least: 500",
        "at_least: 1000",
    ),
    "week": SampleLog(
        "shop_week.jsonl.gz",
        "2026-03-09T00:00:00Z",
        "cart_abandoner",
        'event: "*"',
        "during: 30m",
        "during: 10m",
    ),
}


def shown_path(path: Path) -> str:
    """Returns a path as the user would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
