"""Logs of shop events in Segment's format, and what makes and counts them."""
