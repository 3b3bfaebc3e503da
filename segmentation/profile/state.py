"""The state of one profile, and its versioned encoding, which can be opened under any rules.

The key of a memory is a hash of the content of the condition that needs it. After an edit of the rules, an unchanged
condition keeps its memory, a new condition starts empty, and the memory of a removed condition is dropped.
"""

import hashlib
from typing import Any

import msgspec

from segmentation.memories.memory import Memory, MemoryKind
from segmentation.timestamps import NEVER

MAX_STATE_BYTES = 1024 * 1024
MAX_RECENT_MESSAGES = 1000
_FORMAT = b"\x01"
_DIGEST_BYTES = 8
_CONTENT_BYTES = 2


class Member(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A current membership, and the version of the segment under which it was entered."""

    entered_at_ms: int
    leaves_at_ms: int
    """The instant at which it ends if no further event comes; NEVER if it does not end."""
    segment_version: str


class State(msgspec.Struct, array_like=True, gc=False):
    """Everything that is stored about one profile. Fields can be added at the end, but never moved or removed."""

    version: int
    """The version of the last change or snapshot. It starts at the `first_version` of its creation."""
    profile_time_ms: int
    """The profile time: the latest event time or timer that was processed; it never goes back."""
    last_event_ms: int
    """The latest event time."""
    rules_version: str
    recent_messages: bytes = b""
    """Hashes of the latest message ids, in order of arrival."""
    memories: dict[int, Any] = {}
    """By key of a `MemoryKind`; msgspec.Raw until it is used."""
    verdicts: dict[int, tuple[bool, int]] = {}
    """By key of a `Leaf`, if it differs from the verdict without events."""
    members: dict[str, Member] = {}
    """By name of a segment."""
    pending: dict[str, int] = {}
    """Name of each segment that will be entered by time alone, to the instant of entry."""
    measures: dict[str, tuple[Any, int]] = {}
    """Name of a measure to its value at the last update, and the instant until which it stays so."""
    deadline_ms: int = NEVER
    """The next instant at which something can change by time alone."""
    armed_ms: int = 0
    """The instant to which the timer is set; 0 if it is not set. A timer set to 1970 is set again, without effect."""
    dropped_events: int = 0
    """How many events were dropped to stay within the bounds of memories and of the state."""
    has_user_id: bool = True
    """Whether an event had a `userId`; otherwise the profile is a visitor. States of earlier versions do not tell."""
    recent_contents: bytes = b""
    """Content digests of the latest messages, in order of arrival. States of earlier versions begin without them."""
    was_served: bool = True
    """Whether a snapshot said something, so that Redis can have the profile's key. States written before this field
    existed have True."""


class _Encoded(State, array_like=True, gc=False):
    """The decoded form of a state, in which memories stay encoded until they are used."""

    memories: dict[int, msgspec.Raw] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Encoded)
_decode_memory = msgspec.msgpack.Decoder().decode


def encode(state: State) -> bytes:
    """Returns the state as bytes."""
    return _FORMAT + _encoder.encode(state)


def decode(encoded: bytes) -> State:
    """Returns the state that was encoded by this or an earlier version.

    Raises:
      ValueError: a later version encoded it, or the bytes are not a state.
    """
    if encoded[:1] != _FORMAT:
        raise ValueError(
            f"a profile's state begins with {encoded[:1]!r}: written by a later version of the pipeline?"
        )
    return _decoder.decode(memoryview(encoded)[1:])


def memory_of(state: State, kind: MemoryKind) -> Memory:
    """Returns a state's memory of a kind, decoded at the first use; a fresh one if it has none."""
    memory = state.memories.get(kind.key)
    if memory is None:
        return kind.fresh()
    if memory.__class__ is msgspec.Raw:
        memory = state.memories[kind.key] = _decode_memory(memory)
    return memory  # type: ignore[no-any-return]


def is_recent(recent_messages: bytes, digest: bytes) -> bool:
    """Whether a message id is among the latest ones."""
    return _position(recent_messages, digest) is not None


def has_other_content(state: State, digest: bytes, content_digest: int) -> bool:
    """Whether the first message of a recent id had another content; False if that is not known."""
    position = _position(state.recent_messages, digest)
    if position is None:
        return False
    from_end = (len(state.recent_messages) - position) // _DIGEST_BYTES * _CONTENT_BYTES
    first = state.recent_contents[-from_end:][:_CONTENT_BYTES]
    return from_end <= len(state.recent_contents) and first != content_digest.to_bytes(_CONTENT_BYTES)


def add_message(state: State, digest: bytes, content_digest: int) -> None:
    """Adds a message to the latest ones in place."""
    kept = MAX_RECENT_MESSAGES - 1
    state.recent_messages = state.recent_messages[-kept * _DIGEST_BYTES :] + digest
    content = content_digest.to_bytes(_CONTENT_BYTES)
    state.recent_contents = state.recent_contents[-kept * _CONTENT_BYTES :] + content


def digest_of(message_id: str) -> bytes:
    """Returns the 8-byte hash of a message id."""
    return hashlib.blake2b(message_id.encode(), digest_size=_DIGEST_BYTES).digest()


def _position(recent_messages: bytes, digest: bytes) -> int | None:
    position = recent_messages.find(digest)
    while position >= 0 and position % _DIGEST_BYTES:
        position = recent_messages.find(digest, position + 1)
    return position if position >= 0 else None
