"""The views over the history table, as BigQuery SQL kept beside this module."""

from importlib import resources
from string import Template


def view_sql(name: str, table: str) -> str:
    """Returns the query of the view `name`, such as `segment_intervals`, over `table`.

    Terraform's `templatefile` fills the same `${table}`.

    Args:
      name: the view's name.
      table: the history table as BigQuery SQL writes it, `project.dataset.table`, without backticks.

    Raises:
      ValueError: there is no such view, or the table's name cannot stand between backticks.
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
