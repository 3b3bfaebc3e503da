"""A decision leaves no reference cycles, so its memory is freed at once and not by the garbage collector."""

import subprocess
import sys
from pathlib import Path

FIXTURES = Path(__file__).parent / "profile" / "fixtures"
SCRIPT = f"""
import gc
from pathlib import Path
from segmentation.events import parse_event
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, open_profile
from segmentation.rules.load import load_rules

rules = load_rules(Path({str(FIXTURES / "state_v1.segments.yaml")!r}).read_text())
lines = Path({str(FIXTURES / "state_v1.events.jsonl")!r}).read_bytes().splitlines()
states = {{}}
assert lines
gc.disable()
gc.collect()
for line in lines:
    event = parse_event(line)
    profile = open_profile(event.profile_id, rules, DEFAULT_PROFILE_TTL_MS, states.get(event.profile_id), 0)
    profile.apply(event)
    profile.advance(event.timestamp_ms + 60_000)
    states[event.profile_id] = profile.encode()
del profile
print(gc.collect())
"""


def test_a_log_leaves_none() -> None:
    """In a process of its own: other threads of this one may leave cycles at any moment."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    assert done.stdout == "0\n"
