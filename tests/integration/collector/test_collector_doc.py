"""docs/collector.md: its commands do what it says, in its order, and its tables hold everything."""

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from segmentation.events import MAX_PAYLOAD_BYTES, MAX_SENT_BYTES
from services.collector.app import KINDS
from services.collector.bodies import MIN_WINDOW_BYTES, WINDOW_SECONDS
from services.collector.completion import MAX_COPIED_BYTES, MAX_SHARED_BYTES, MAX_USER_AGENT_CHARACTERS
from services.collector.impatient_protocol import (
    HEAD_SECONDS,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PIPELINED_BYTES,
    RESPONSE_SECONDS,
)
from services.collector.memory_budget import MAX_ARRIVING_BYTES, MAX_PENDING_BYTES, MEMORY_PER_PENDING_BYTE
from services.collector.metrics import Metrics
from services.collector.settings import Settings
from tests.integration.page_reader import Reader, steps

MIB = 1024 * 1024
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


def test_the_bounds_of_memory_on_the_page_are_those_of_the_code() -> None:
    assert f"at most {MAX_COPIED_BYTES // MIB} MiB" in PAGE
    assert f"at\nleast {MIN_WINDOW_BYTES // 1024} KiB in every {WINDOW_SECONDS:.0f} seconds" in PAGE
    section = PAGE.partition("### Memory and slow clients")[2].partition("\n## ")[0].replace("\n  ", " ")
    for bound in (
        f"{MAX_PENDING_BYTES * MEMORY_PER_PENDING_BYTE // MIB} MiB of memory",
        f"have {MAX_ARRIVING_BYTES // MIB} MiB together",
        f"At most {MAX_CONNECTIONS:,} are open",
        f"within {HEAD_SECONDS:.0f} seconds, and has at most {MAX_HEAD_BYTES // 1024} KiB and {MAX_HEADERS} headers",
        f"within {RESPONSE_SECONDS:.0f} seconds",
        f"more than {MAX_PIPELINED_BYTES // 1024} KiB before",
    ):
        assert bound in section, bound


def test_every_reason_to_close_a_connection_is_on_the_page() -> None:
    source = (ROOT / "services" / "collector" / "impatient_protocol.py").read_text()
    reasons = set(re.findall(r'(?:_close\(|_count\(|self\._close, )"(\w+)"', source))
    assert len(reasons) == 5
    section = PAGE.partition("### Memory and slow clients")[2].partition("\n## ")[0]
    assert {reason for reason in reasons if f"`{reason}`" not in section} == set()


def test_the_settings_on_the_page_are_right_and_show_every_key() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    settings = Settings.model_validate(yaml.safe_load(text))
    shown = {name for source in settings.sources for name in source.model_fields_set}
    assert shown == set(type(settings.sources[0]).model_fields)
