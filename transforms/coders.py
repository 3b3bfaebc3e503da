"""Encodes values between steps, with msgspec's msgpack.

A coder is submitted as a URN and the name of its type, never as a pickle. A pickle contains the path of a module, and
Dataflow compares coders when it updates a running job, so moving a module would break the update. A worker knows the
URN after it imports this module; `PLUGIN` makes it do so at its start.
"""

import functools
import json
from typing import Any

import msgspec
from apache_beam import coders

from segmentation.dead_letters import DeadLetter
from segmentation.events import Event
from segmentation.memberships import Change, Snapshot
from segmentation.messages import Message

URN = "live-segments:coder:msgpack:v1"
"""The URN of `MsgspecCoder`'s encoding. Public interface, like the names in `STRUCT_TYPES`."""
STRUCT_TYPES: dict[str, type[Any]] = {
    "Message": Message,
    "Event": Event,
    "DeadLetter": DeadLetter,
    "Change": Change,
    "Snapshot": Snapshot,
}
"""The types of values between steps, by the names that running jobs know."""
PLUGIN = __name__
"""A value for Beam's option `--beam_plugins`. Workers import these modules before they decode any value."""
_NAMES = {struct_type: name for name, struct_type in STRUCT_TYPES.items()}
_TEXT_INTEGER_BITS = 14_000
"""The longest integer that Python formats by default has 4300 digits; this is about 4200."""


class MsgspecCoder(coders.Coder):
    """Encodes one msgspec Struct type. The order of names in a dict does not change the bytes.

    A value that msgpack cannot encode (an integer beyond 64 bits, an unpaired surrogate) is encoded as JSON text. Its
    first byte never starts a Struct in msgpack. An integer of more than 4200 digits is decoded as infinite.
    """

    def __init__(self, struct_type: type[Any]) -> None:
        self._struct_type: Any = struct_type
        self._name = _NAMES[struct_type]

    def encode(self, value: Any) -> bytes:
        try:
            return _encoder().encode(value)
        except (OverflowError, UnicodeEncodeError):
            return json.dumps(_textual(msgspec.to_builtins(value)), sort_keys=True).encode()

    def decode(self, encoded: bytes) -> Any:
        if encoded[:1] in (b"[", b"{"):
            return msgspec.convert(json.loads(encoded), self._struct_type)
        return _decoder(self._struct_type).decode(encoded)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> Any:
        return self._struct_type

    @classmethod
    def from_type_hint(cls, typehint: Any, registry: Any) -> Any:
        return cls(typehint)

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes, tuple[()]]:
        return URN, self._name.encode(), ()

    @staticmethod
    @coders.Coder.register_urn(URN, bytes)
    def from_runner_api_parameter(payload: bytes, components: Any, context: Any) -> "MsgspecCoder":
        """Returns the coder that was submitted under a type's name."""
        return MsgspecCoder(STRUCT_TYPES[payload.decode()])

    def __repr__(self) -> str:
        return f"MsgspecCoder[{self._name}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MsgspecCoder) and self._struct_type is other._struct_type

    def __hash__(self) -> int:
        return hash((MsgspecCoder, self._struct_type))


@functools.cache
def _encoder() -> msgspec.msgpack.Encoder:
    return msgspec.msgpack.Encoder(order="deterministic")


@functools.cache
def _decoder(struct_type: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(struct_type)


def _textual(value: Any) -> Any:
    match value:
        case dict():
            return {name: _textual(member) for name, member in value.items()}
        case list() | tuple():
            return [_textual(member) for member in value]
        case int() if value.bit_length() > _TEXT_INTEGER_BITS:
            return float("inf") if value > 0 else float("-inf")
        case _:
            return value


for _struct_type in STRUCT_TYPES.values():
    coders.registry.register_coder(_struct_type, MsgspecCoder)
