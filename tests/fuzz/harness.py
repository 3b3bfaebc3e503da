"""Drives hostile messages through parsing and the stateful step, and checks everything that comes out.

The steps are the real ones, without a runner. All messages go to one profile, so that they meet.
"""

import json
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from apache_beam.utils.timestamp import Timestamp

from segmentation.dead_letters import DeadLetter
from segmentation.events import DEFAULT_LIMITS, Event, InvalidEvent
from segmentation.memberships import Change, Snapshot
from segmentation.messages import Message
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS
from segmentation.profile.state import MAX_STATE_BYTES
from segmentation.timestamps import MAX_MS, MIN_MS
from stores.segments.fields import change_fields, snapshot_fields
from transforms.coders import MsgspecCoder
from transforms.parse_events import _ParseEventsFn
from transforms.update_profiles import Output, _UpdateProfilesFn

RULES = [
    Path(__file__).with_name("rules.yaml").read_text(),
    Path("definitions/segments.yaml").read_text(),
    *(path.read_text() for path in sorted(Path("tests/conformance").glob("*/segments.yaml"))),
]
NOW_MS = 1_772_452_800_000
REASONS = {
    *(
        "not_json",
        "not_an_object",
        "too_large",
        "bad_type",
        "missing_message_id",
        "missing_id",
        "missing_event",
    ),
    *("bad_timestamp", "future_timestamp", "too_old", "bad_field"),
}


class _Cell:
    """Holds the profile's state."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def read(self) -> bytes | None:
        return self.content

    def write(self, content: bytes) -> None:
        assert len(content) < MAX_STATE_BYTES
        self.content = content

    def clear(self) -> None:
        self.content = None


class _Timer:
    """Holds the instant at which the profile wants to be woken."""

    def __init__(self) -> None:
        self.at: Timestamp | None = None

    def set(self, at: Timestamp) -> None:
        self.at = at


class Harness:
    """One profile in the two steps."""

    def __init__(self, rules_text: str, is_live: bool) -> None:
        self._publish_time_ms = NOW_MS if is_live else None
        as_of_ms = None if is_live else MAX_MS
        clock = count(NOW_MS).__next__
        self._parse = _ParseEventsFn(as_of_ms, clock, None, DEFAULT_LIMITS)
        self._update = _UpdateProfilesFn(rules_text, DEFAULT_PROFILE_TTL_MS, as_of_ms, clock)
        for step in (self._parse, self._update):
            step.setup()
            step.start_bundle()
        self._cell, self._timer = _Cell(), _Timer()
        self._version = 0
        self.accepted = 0

    @property
    def state(self) -> bytes | None:
        """The profile, encoded."""
        return self._cell.content

    def take(self, payload: bytes) -> None:
        """Takes in one message, good or bad."""
        (parsed,) = self._parse.process(Message(payload, self._publish_time_ms))
        if not isinstance(parsed, Event):
            _check_dead_letter(parsed.value, payload)
            return
        self.accepted += 1
        assert coded(Event, parsed) == parsed
        parsed.profile_id.encode()
        updates = self._update.process(("user-1", coded(Event, parsed)), self._cell, self._timer)
        self._check(list(updates))

    def wake(self, t_ms: int) -> None:
        """Lets the timer fire at an instant."""
        t_ms = min(max(t_ms, MIN_MS), MAX_MS)
        fired = Timestamp(micros=t_ms * 1000)
        self._check(list(self._update.on_deadline("user-1", fired, self._cell, self._timer)))

    def wake_in_time(self) -> None:
        """Lets the timer fire at the instant for which it is set."""
        if self._timer.at is not None:
            self.wake(self._timer.at.micros // 1000)

    def finish(self) -> None:
        for step in (self._parse, self._update):
            step.finish_bundle()

    def _check(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Snapshot):
                self._check_snapshot(output)
            else:
                self._check_change(output.value)

    def _check_change(self, change: Change) -> None:
        assert coded(Change, change) == change
        assert json.loads(orjson.dumps(change.row()))["change"] in ("entered", "exited")
        _check_text(change_fields(change)[1::2])
        assert change.profile_version > self._version
        self._version = change.profile_version

    def _check_snapshot(self, snapshot: Snapshot) -> None:
        assert coded(Snapshot, snapshot) == snapshot
        assert self._version <= snapshot.version < 2**53
        self._version = snapshot.version
        if not snapshot.deleted:
            values = snapshot_fields(snapshot)[1::2]
            _check_text(values)
            for value in values[:5]:
                assert isinstance(value, bytes)
                assert isinstance(json.loads(value, parse_constant=_refuse), dict)


def coded(struct_type: type[Any], value: Any) -> Any:
    """Returns the value as it comes out of its coder."""
    return _CODERS[struct_type].decode(_CODERS[struct_type].encode(value))


_CODERS = {struct_type: MsgspecCoder(struct_type) for struct_type in (Event, Change, Snapshot, DeadLetter)}


def _check_dead_letter(letter: DeadLetter, payload: bytes) -> None:
    assert letter.reason in REASONS
    assert letter.payload == payload
    assert coded(DeadLetter, letter) == letter
    row = json.loads(orjson.dumps(letter.row()))
    assert "encoding" in row or row["payload"].encode() == payload
    assert letter.message.isascii()
    assert len(letter.message) < 120


def _check_text(values: Any) -> None:
    for value in values:
        if isinstance(value, bytes):
            value.decode()
        else:
            str(value).encode()


def _refuse(name: str) -> None:
    raise InvalidEvent("not_json", name)


def run(program: bytes) -> Harness:
    """Runs a program: of its lines the first, a digit and maybe `live`, chooses the rules; the others are messages.

    A line `@` wakes the profile at its deadline, and `@` with a number at that instant.
    """
    head, *lines = program.split(b"\n")
    choice = head[0] if head else 0
    harness = Harness(RULES[choice % len(RULES)], b"live" in head)
    for line in lines:
        if not line.startswith(b"@"):
            harness.take(line)
        elif line[1:16].removeprefix(b"-").isdigit():
            harness.wake(int(line[1:16]))
        else:
            harness.wake_in_time()
    harness.wake(MAX_MS)
    harness.finish()
    return harness
