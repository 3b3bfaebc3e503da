"""Dead letters of the pipeline and of the collector, which have the same form."""

import base64
from typing import Any

import msgspec

from segmentation.timestamps import format_timestamp


class DeadLetter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An input that cannot be processed, stored whole with the step and the reason."""

    payload: bytes
    step: str
    reason: str
    message: str
    """The mistake, with the path of the field; it never contains user data."""
    received_at_ms: int
    attributes: dict[str, str] = {}

    def row(self) -> dict[str, Any]:
        """Returns the stored form; a payload that is not UTF-8 is encoded in base64."""
        try:
            payload = {"payload": self.payload.decode()}
        except UnicodeDecodeError:
            payload = {"payload": base64.b64encode(self.payload).decode(), "encoding": "base64"}
        return {
            **payload,
            "step": self.step,
            "reason": self.reason,
            "message": self.message,
            "received_at": format_timestamp(self.received_at_ms),
            "attributes": self.attributes,
        }
