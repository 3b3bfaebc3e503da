"""Reads the views on the history table from `sql/`."""

from importlib import resources
from string import Template


def view_sql(name: str, table: str) -> str:
    """Returns the BigQuery SQL of a view on a table.

    The files have the placeholder `${table}`, which Terraform's `templatefile` fills too.

    Args:
      name: the view's name, such as `segment_intervals`.
      table: the history table as `project.dataset.table`, without backticks.

    Raises:
      ValueError: there is no such view, or the table's name cannot be quoted with backticks.
    """
    views = {
        path.name.removesuffix(".sql"): path
        for path in resources.files("stores.history").joinpath("sql").iterdir()
        if path.name.endswith(".sql")
    }
    if name not in views:
        raise ValueError(f"no view {name!r}; there are: {', '.join(sorted(views))}")
    if not table or any(character in table for character in "`\\\n"):
        raise ValueError(f"expected a table as project.dataset.table, got {table!r}")
    return Template(views[name].read_text(encoding="utf-8")).substitute(table=table)
