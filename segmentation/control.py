"""Messages to the system itself: they travel with the events, and carry this attribute."""

CONTROL_ATTRIBUTE = "control"
HEARTBEAT = "heartbeat"
"""A value of the attribute: the message only wakes whoever waits for one."""
