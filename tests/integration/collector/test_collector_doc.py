"""docs/collector.md: its commands do what it says, in its order, and its tables hold everything."""

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from segmentation.events import MAX_PAYLOAD_BYTES, MAX_SENT_BYTES
from services.collector.app import KINDS
from services.collector.completion import MAX_SHARED_BYTES, MAX_USER_AGENT_CHARACTERS
from services.collector.metrics import Metrics
from services.collector.settings import Settings
from tests.integration.page_reader import Reader, steps

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "collector.md").read_text(encoding="utf-8")


def test_the_page_can_be_followed(reader: Reader) -> None:
    for step in steps("collector.md"):
        reader.take(step)
    assert "Traceback" not in reader.said("collector")


def test_every_route_and_code_is_on_the_page() -> None:
    for path in KINDS:
        assert f"`{path}`" in PAGE or f"`POST {path}`" in PAGE, path
    sources = "\n".join(path.read_text() for path in (ROOT / "services" / "collector").glob("*.py"))
    codes = set(re.findall(r"(?:RefusedRequest\(\s*\d+,|Unavailable\()\s*\"(\w+)\"", sources))
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_every_repair_is_on_the_page() -> None:
    source = (ROOT / "services" / "collector" / "event_times.py").read_text()
    repairs = set(re.findall(r'repairs\.add\("(\w+)"\)', source))
    assert repairs == set(
        re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", PAGE.partition("### Times")[2], re.MULTILINE)
    )


def test_every_counter_is_on_the_page() -> None:
    families = text_string_to_metric_families(Metrics().exposition().decode())
    counters = {f"{family.name}_total" for family in families if family.type == "counter"}
    assert len(counters) >= 7
    assert {name for name in counters if f"`{name}`" not in PAGE} == set()


def test_the_sizes_on_the_page_are_those_of_the_code() -> None:
    section = PAGE.partition("### Sizes")[2].partition("## ")[0]
    for size_bytes in (
        MAX_SENT_BYTES,
        MAX_PAYLOAD_BYTES,
        MAX_SHARED_BYTES,
        MAX_SENT_BYTES + MAX_SHARED_BYTES,
    ):
        assert f"{size_bytes // 1024} KiB" in section
    assert f"{MAX_USER_AGENT_CHARACTERS:,} characters" in section


def test_the_settings_on_the_page_are_right_and_show_every_key() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    settings = Settings.model_validate(yaml.safe_load(text))
    shown = {name for source in settings.sources for name in source.model_fields_set}
    assert shown == set(type(settings.sources[0]).model_fields)
