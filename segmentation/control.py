"""Control messages: messages to the job itself, marked by an attribute, which travel with the events."""

CONTROL_ATTRIBUTE = "control"
HEARTBEAT = "heartbeat"
"""A value of the attribute. A heartbeat wakes the local runner and has no other effect."""
