"""Reads the schemas of the BigQuery tables from `sql/`. Terraform creates the tables from the same files."""

import json
from importlib import resources
from typing import Any


def table_schema(table: str) -> list[dict[str, Any]]:
    """Returns a table's columns in their order, in the JSON form of BigQuery's tools."""
    text = resources.files("stores.history").joinpath(f"sql/{table}.schema.json").read_text(encoding="utf-8")
    columns: list[dict[str, Any]] = json.loads(text)
    return columns
