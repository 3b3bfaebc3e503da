"""What travels from the input to the first decisions: messages as they came, and dead letters; their coders."""

import msgspec
from apache_beam import coders

from segmentation.dead_letters import DeadLetter
from transforms.coders import MsgspecCoder


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a log, or one Pub/Sub message."""

    payload: bytes
    publish_time_ms: int | None = None
    """None for a line of a log."""
    attributes: dict[str, str] = {}


coders.registry.register_coder(Message, MsgspecCoder)
coders.registry.register_coder(DeadLetter, MsgspecCoder)
