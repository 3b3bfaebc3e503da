"""The command `python -m data.counts`: prints what the logs of this folder hold, as tables for its README."""

import gzip
import json
from collections import Counter
from pathlib import Path

LOGS = ("shop_views_2019-10-01.jsonl.gz", "shop_orders_2010-2011.jsonl.gz", "shop_week.jsonl.gz")


def count_log(path: Path) -> tuple[str, list[str]]:
    """Returns a row for the log as a whole, and a row per event or type, the most frequent first."""
    kinds: Counter[str] = Counter()
    message_ids, user_ids, anonymous_ids = set(), set(), set()
    timestamps: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as log:
        for line in log:
            message = json.loads(line)
            kinds[message.get("event") or f"({message['type']})"] += 1
            message_ids.add(message["messageId"])
            user_ids.add(message.get("userId"))
            anonymous_ids.add(message.get("anonymousId"))
            timestamps.append(message["timestamp"])
    ids = (message_ids, user_ids - {None}, anonymous_ids - {None})
    sizes = [len(timestamps), *map(len, ids)]
    name = path.name.removesuffix(".jsonl.gz")
    row = (
        f"| `{name}` | {' | '.join(f'{size:,}' for size in sizes)} | {min(timestamps)} | {max(timestamps)} |"
    )
    return row, [f"| `{name}` | {kind} | {number:,} |" for kind, number in kinds.most_common()]


def main() -> None:
    """Runs the command."""
    logs = [count_log(Path(__file__).parent / name) for name in LOGS]
    print("| log | messages | message ids | user ids | anonymous ids | first timestamp | last timestamp |")
    print("|---|---:|---:|---:|---:|---|---|")
    print("\n".join(row for row, _ in logs))
    print("\n| log | event or (type) | messages |\n|---|---|---:|")
    print("\n".join(row for _, rows in logs for row in rows))


if __name__ == "__main__":
    main()
