"""The fields of a JSON object, whose values keep their original bytes."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from segmentation.events import write_out_lone_surrogates

Fields = dict[str, msgspec.Raw]
"""An object's fields. Each value keeps its original bytes, so nothing is rounded, reordered or lost."""
_ABSENT = (msgspec.Raw(b"null"), msgspec.Raw(b'""'))
_decoder = msgspec.json.Decoder(Fields)
_MAX_WRITTEN_OUT = 50_000
"""The most escapes of surrogates in a body with half an emoji; each takes 0.3 µs and 100 bytes."""
T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Returns what a decoder makes of JSON; half an emoji is written out.

    Raises:
      msgspec.ValidationError: the JSON is of another type.
      msgspec.DecodeError, UnicodeDecodeError: the body is not JSON.
      RecursionError: the body is nested too deep.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # a browser that cuts a text in two may leave half an emoji; the pipeline accepts it too
        if b"\\u" not in bytes(body):
            raise
        written = write_out_lone_surrogates(bytes(body).decode(), _MAX_WRITTEN_OUT)
        return decoder.decode(written.encode())


def decode_fields(body: bytes | msgspec.Raw) -> Fields:
    """Returns the fields of a JSON object; see `decode`."""
    return decode(_decoder, body)


def object_fields(value: Any) -> Fields | None:
    """Returns the fields of a value; None if it is not an object."""
    try:
        return None if value is None else decode_fields(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def given(fields: Mapping[str, Any], name: str) -> msgspec.Raw | None:
    """Returns the field's bytes; None if it is missing, null or an empty text."""
    value: msgspec.Raw | None = fields.get(name)
    return None if value is None or value in _ABSENT else value


def is_object(value: msgspec.Raw) -> bool:
    """Whether a value is an object."""
    return memoryview(value)[0] == ord("{")


def is_empty_list(value: msgspec.Raw) -> bool:
    """Whether a value is `[]`, as which PHP writes an empty object."""
    content = memoryview(value)
    return content[0] == ord("[") and not bytes(content[1:-1]).strip()


def text(value: msgspec.Raw | None) -> str | None:
    """Returns a text; None if the value is missing or anything else."""
    try:
        return None if value is None else msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
