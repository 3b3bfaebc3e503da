"""Dead letters: inputs that cannot be processed, whole, and why; the pipeline and the collector write the same."""

import base64
from typing import Any

import msgspec

from segmentation.timestamps import format_timestamp


class DeadLetter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An input that cannot be processed, whole, and why."""

    payload: bytes
    step: str
    reason: str
    message: str
    """What was wrong, with the field's path; never a value of the user's."""
    received_at_ms: int
    attributes: dict[str, str] = {}

    def row(self) -> dict[str, Any]:
        """Returns the dead letter as it is kept; a payload that is not UTF-8 is in base64."""
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
