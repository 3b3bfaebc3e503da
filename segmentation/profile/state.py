"""The state of one profile, as versioned bytes that open under any rules.

What is remembered is keyed by the content of the condition that needs it: under edited rules an unchanged
condition finds its memory, a new one starts empty, and a dropped one's memory is forgotten.
"""

import hashlib
from typing import Any

import msgspec

from segmentation.timestamps import NEVER

MAX_STATE_BYTES = 1024 * 1024
MAX_RECENT_MESSAGES = 1000
_FORMAT = b"\x01"
_DIGEST_BYTES = 8


class Member(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A current membership, and the version of the segment under which it was entered."""

    entered_at_ms: int
    leaves_at_ms: int
    """The instant at which it ends if nothing more happens; NEVER if it does not."""
    segment_version: str


class State(msgspec.Struct, array_like=True, gc=False):
    """Everything kept of one profile. Fields may be added at the end, never moved or dropped."""

    version: int
    """Grows with every row and snapshot; begins at the instant of creation × 4096."""
    clock_ms: int
    """The latest event time or timer seen."""
    last_event_ms: int
    """The greatest timestamp of its events."""
    rules_version: str
    recent_messages: bytes = b""
    """Hashes of the latest message ids, in order of arrival."""
    memories: dict[int, Any] = {}
    """By key of a `MemoryKind`; msgspec.Raw until it is looked at."""
    verdicts: dict[int, tuple[bool, int]] = {}
    """By key of a `Leaf`, where it differs from the verdict without events."""
    members: dict[str, Member] = {}
    """By name of a segment."""
    pending: dict[str, int] = {}
    """By name of a segment that will be entered by time alone: the instant."""
    measures: dict[str, tuple[Any, int]] = {}
    """By name of a measure: the value at the last update, and the instant until which it stays so."""
    deadline_ms: int = NEVER
    """The next instant at which anything can change by time alone."""
    armed_ms: int = 0
    """The instant for which the timer is set; 0 if it is not."""
    dropped_events: int = 0
    """How many events the bounds made it forget."""


class _Encoded(State, array_like=True, gc=False):
    """How a state is read: memories stay encoded until they are looked at."""

    memories: dict[int, msgspec.Raw] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Encoded)


def encode(state: State) -> bytes:
    """Returns the state as bytes."""
    return _FORMAT + _encoder.encode(state)


def decode(encoded: bytes) -> State:
    """Returns the state in bytes of this or an earlier version of the format.

    Raises:
      ValueError: bytes of a later version, or none of this program's.
    """
    if encoded[:1] != _FORMAT:
        raise ValueError(
            f"a profile's state begins with {encoded[:1]!r}: written by a later version of the pipeline?"
        )
    return _decoder.decode(memoryview(encoded)[1:])


def is_recent(recent_messages: bytes, digest: bytes) -> bool:
    """Whether a message id is among the latest ones."""
    position = recent_messages.find(digest)
    while position >= 0 and position % _DIGEST_BYTES:
        position = recent_messages.find(digest, position + 1)
    return position >= 0


def with_message(recent_messages: bytes, digest: bytes) -> bytes:
    """Returns the latest message ids with one more."""
    return recent_messages[-(MAX_RECENT_MESSAGES - 1) * _DIGEST_BYTES :] + digest


def digest_of(message_id: str) -> bytes:
    """Returns the 8 bytes by which a message id is recognised."""
    return hashlib.blake2b(message_id.encode(), digest_size=_DIGEST_BYTES).digest()
