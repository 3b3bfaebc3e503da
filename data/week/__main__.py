"""The command `python -m data.week --out FILE.jsonl.gz --seed N --shoppers N --days N`."""

import argparse
import dataclasses
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from data.week import Message, WeekConfig, generate_week


def write_log(path: Path, messages: Iterable[Message]) -> int:
    """Writes one message per line, gzipped without a name or a time in it, and returns how many.

    The same messages give the same bytes, as long as the zlib is the same.
    """
    lines = 0
    encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as log:
        for message in messages:
            log.write(encode(message).encode() + b"\n")
            lines += 1
    return lines


def _parse_arguments(argv: list[str] | None) -> tuple[Path, WeekConfig]:
    defaults = WeekConfig()
    parser = argparse.ArgumentParser(prog="python -m data.week", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl.gz")
    parser.add_argument("--seed", type=int, default=defaults.seed, metavar="N")
    parser.add_argument("--shoppers", type=int, default=defaults.shoppers, metavar="N")
    parser.add_argument("--days", type=int, default=defaults.days, metavar="N", help="from 2026-03-02 on")
    arguments = parser.parse_args(argv)
    given = {name: getattr(arguments, name) for name in ("seed", "shoppers", "days")}
    try:
        return arguments.out, dataclasses.replace(defaults, **given)
    except ValueError as error:
        parser.error(str(error))


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    path, config = _parse_arguments(argv)
    lines = write_log(path, generate_week(config))
    print(f"{lines} messages in {path}")


if __name__ == "__main__":
    main()
