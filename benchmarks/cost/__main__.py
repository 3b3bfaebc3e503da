"""The command `python -m benchmarks.cost`: calculates the cost of the live system, and writes docs/cost.md.

It reckons with what `make bench` measured (benchmarks/results.json), what one event of the sample log causes
(volumes.py), and a file of prices, limits and assumptions (prices.yaml).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.cost import page
from benchmarks.cost.prices import PRICES, PricesError, read_prices
from benchmarks.cost.reckon import reckon
from benchmarks.cost.volumes import count_volumes


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 where a file is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cost",
        description="Reckons what the live system costs, prints it, and writes it to docs/cost.md.",
    )
    what = "Prices of your own: prints, and leaves docs/cost.md as it is."
    parser.add_argument("--prices", type=Path, metavar="FILE", help=what)
    path = parser.parse_args(argv).prices
    try:
        prices = read_prices(path or PRICES)
        cost = reckon(results.load(), count_volumes(), prices)
    except PricesError as error:
        print(f"python -m benchmarks.cost: {error}", file=sys.stderr)
        return 2
    print(page.markdown(cost))
    if path is None:
        page.keep(cost)
    return 0


if __name__ == "__main__":
    sys.exit(main())
