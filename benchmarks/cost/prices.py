"""The file of prices, limits and assumptions for the calculation of costs."""

import datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.data import ROOT

PRICES = ROOT / "benchmarks" / "cost" / "prices.yaml"
_Positive = Annotated[float, Field(gt=0)]


class PricesError(ValueError):
    """The file of prices is invalid; the message has all mistakes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Strict):
    """A list price; `dollars` is None where it could not be found."""

    dollars: _Positive | None
    per: str
    read: datetime.date | None = None
    page: str
    by: str | None = None
    note: str | None = None

    @property
    def source(self) -> str:
        """The source of the price, when it was read, and by whom."""
        day = "undated" if self.read is None else self.read.isoformat()
        return f"{self.page.removeprefix('https://')}, {day}{f', as read by {self.by}' if self.by else ''}"


class Limit(_Strict):
    """A limit; None if it is measured."""

    limit: _Positive | None
    page: str
    note: str


class Assumption(_Strict):
    """A number that was not measured; None if it comes from the sample log."""

    value: _Positive | None
    why: str


class Prices(_Strict):
    """The whole file."""

    region: str
    looked_up: datetime.date
    prices: dict[str, Price]
    limits: dict[str, Limit]
    assumptions: dict[str, Assumption]

    def assumed(self, name: str) -> float:
        """Returns an assumption that must have a value."""
        value = self.assumptions[name].value
        if value is None:
            raise PricesError(f"assumptions.{name}.value is missing")
        return value


def read_prices(path: Path = PRICES) -> Prices:
    """Returns the prices, limits and assumptions of a file.

    Raises:
      PricesError: it cannot be read, or is not such a file.
    """
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise PricesError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise PricesError("\n".join([f"{path} is no file of prices:", *lines])) from None
