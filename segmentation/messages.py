"""Messages as they came, before anything is known of what they hold."""

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a log, or one Pub/Sub message."""

    payload: bytes
    publish_time_ms: int | None = None
    """None for a line of a log."""
    attributes: dict[str, str] = {}
