"""Messages before they are parsed."""

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a log, or one Pub/Sub message."""

    payload: bytes
    publish_time_ms: int | None = None
    """When Pub/Sub received the message; None for a line of a log."""
    attributes: dict[str, str] = {}
