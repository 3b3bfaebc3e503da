"""JSON values: which are numbers, which are equal, and how a profile stores them.

A stored value is one that msgpack can encode. Most scalars are stored unchanged. An integer beyond 64 bits is stored
as bytes that begin with `i`. A value longer than 256 bytes is stored as its hash, bytes that begin with `h`.
"""

import hashlib
import json
import re
from typing import Any

import orjson

MAX_NUMBER = 1e15
MAX_STORED_BYTES = 256
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_TRUE, _FALSE = b"t", b"f"


def as_number(value: Any) -> float | None:
    """Returns a number, or a text that is a JSON number as a number; None beyond ±1e15 and for other values."""
    kind = value.__class__
    if kind is float or kind is int:
        return value if -MAX_NUMBER <= value <= MAX_NUMBER else None
    if kind is str and _JSON_NUMBER.fullmatch(value) is not None:
        number = float(value)
        return number if -MAX_NUMBER <= number <= MAX_NUMBER else None
    return None


def is_scalar(value: Any) -> bool:
    """Whether the value is a text, a number, true or false, or the stored form of one of them."""
    return isinstance(value, (str, int, float, bytes))


def identity(scalar: Any) -> Any:
    """Returns a hashable key of a scalar, plain or stored. Two scalars have the same key only if they are equal.

    `1` and `1.0` are equal; `1`, `"1"` and `true` are not.
    """
    if scalar is True:
        return _TRUE
    if scalar is False:
        return _FALSE
    if scalar.__class__ is float and scalar.is_integer():
        scalar = int(scalar)
    return stored_value(scalar)


def stored_value(value: Any) -> Any:
    """Returns the stored form of a value; see the module."""
    kind = value.__class__
    if kind is str:
        if len(value) * 4 <= MAX_STORED_BYTES:
            return value
        text = value.encode()
        return value if len(text) <= MAX_STORED_BYTES else _hashed(text)
    if kind is int:
        if -0x8000000000000000 <= value <= 0xFFFFFFFFFFFFFFFF:
            return value
        digits = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
        return b"i" + digits if len(digits) < MAX_STORED_BYTES else _hashed(digits)
    if kind is list or kind is dict:
        text = _canonical_json(value)
        return value if len(text) <= MAX_STORED_BYTES and _fits_msgpack(value) else _hashed(text)
    return value


def public_value(stored: Any) -> Any:
    """Returns a stored value as the JSON value that snapshots contain."""
    if stored.__class__ is not bytes:
        return stored
    if stored[:1] == b"i":
        return int.from_bytes(stored[1:], "big", signed=True)
    return "sha256:" + stored[1:].hex()


def _hashed(text: bytes) -> bytes:
    return b"h" + hashlib.sha256(text).digest()


def _canonical_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, or nested too deeply for orjson
        return json.dumps(value, sort_keys=True).encode()


def _fits_msgpack(value: Any) -> bool:
    if value.__class__ is list:
        return all(_fits_msgpack(item) for item in value)
    if value.__class__ is dict:
        return all(_fits_msgpack(item) for item in value.values())
    return value.__class__ is not int or -0x8000000000000000 <= value <= 0xFFFFFFFFFFFFFFFF
