"""The schemas of the BigQuery tables, as the files beside this module have them; the tables are built by these."""

import json
from importlib import resources
from typing import Any


def table_schema(table: str) -> list[dict[str, Any]]:
    """Returns a table's columns in their order, as BigQuery's own tools write them."""
    text = resources.files("stores.history").joinpath(f"sql/{table}.schema.json").read_text(encoding="utf-8")
    columns: list[dict[str, Any]] = json.loads(text)
    return columns
