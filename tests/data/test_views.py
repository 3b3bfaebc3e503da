"""What data/README.md says about the log of views."""

import gzip
import json
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_log_has_two_busy_spells_and_two_quiet_hours_between_them() -> None:
    with gzip.open(ROOT / "data" / "shop_views_2019-10-01.jsonl.gz") as lines:
        times = [json.loads(line)["timestamp"][11:16] for line in lines]
    spells = Counter(
        "first" if time < "00:17" else "between" if time < "02:17" else "second" for time in times
    )
    first, between, second = spells["first"] / 17, spells["between"], spells["second"] / 33
    text = (ROOT / "data" / "README.md").read_text()
    assert (
        f"00:00 to 00:17 ({first:.0f} messages a minute) and 02:17 to 02:50 ({second:.0f} a minute)" in text
    )
    assert f"the two hours between them it has {between} messages" in text
