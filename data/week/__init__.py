"""Generates a synthetic week of a small shop: the messages of its site, its app and its server.

The same configuration always gives the same messages. Nothing here reads a clock, a file or the network.
"""

from data.week.config import Message, WeekConfig
from data.week.delivery import generate_week

__all__ = ["Message", "WeekConfig", "generate_week"]
