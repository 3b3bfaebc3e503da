"""Finds the time of each event of a request, by what its device says and by when the request arrived."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from segmentation.events import MAX_AHEAD_MS
from segmentation.timestamps import format_timestamp
from services.collector.clock_correction import TOLERANCE_MS, clock_error_ms, corrected_ms
from services.collector.device_times import DeviceTime, read_device_time
from services.collector.fields import Fields, decode, given

_ABSENT = msgspec.Raw()


class _Times(msgspec.Struct, gc=False):
    """The fields of an event that say when it happened; all others are skipped."""

    timestamp: msgspec.Raw = _ABSENT
    originalTimestamp: msgspec.Raw = _ABSENT
    sentAt: msgspec.Raw = _ABSENT


_times_decoder = msgspec.json.Decoder(_Times)


class EventTime(NamedTuple):
    """When an event happened."""

    fields: dict[str, Any]
    """`timestamp` and, where the device wrote it otherwise, `originalTimestamp`."""
    has_own_time: bool
    """False: the device does not say when the event happened."""
    has_own_sent_at: bool
    """False: the device does not say when it sent the event."""
    repairs: set[str]
    """What was wrong with the device's times: `zero_time`, `unreadable_sent_at`, `clock_error`, `ahead_of_sent_at`,
    `ahead_of_arrival` or `spelling`.
    """


def time_fields(event: bytes) -> Fields | None:
    """Returns the fields of an event that say when it happened; None if it is not an object."""
    try:
        times = decode(_times_decoder, event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    fields = ((name, getattr(times, name)) for name in _Times.__struct_fields__)
    return {name: value for name, value in fields if value is not _ABSENT}


class EventTimes:
    """Finds the times of one request's events.

    Events without a usable time get the time of arrival, or of sending, in their order: the last one gets that time
    itself, and each earlier one 1 ms less. At one instant they would have no order.

    Args:
      received_at_ms: when the request arrived.
      shared_sent_at: `sentAt` of the batch; None if there is none.
    """

    def __init__(self, received_at_ms: int, shared_sent_at: msgspec.Raw | None) -> None:
        self._received_at_ms = received_at_ms
        self._shared_sent_at = None if shared_sent_at is None else read_device_time(shared_sent_at)

    def of(self, events: Sequence[Fields | None]) -> list[EventTime | None]:
        """Returns the time of each event; None for what is not an object."""
        self._following_ms = 0
        times = [None if fields is None else self._time(fields) for fields in reversed(events)]
        return times[::-1]

    def _time(self, fields: Fields) -> EventTime:
        repairs: set[str] = set()
        sent_at = self._own(fields, "sentAt", repairs)
        sent_at_ms = self._sent_at_ms(sent_at, repairs)
        own = self._own(fields, "timestamp", repairs) or self._own(fields, "originalTimestamp", repairs)
        if own is None:
            changed: dict[str, Any] = {"timestamp": format_timestamp(self._in_order(self._received_at_ms))}
        elif own.ms is None:  # the pipeline refuses it, and names the form
            changed = {"timestamp": own.raw}
        else:
            ms = self._right_ms(own.ms, sent_at_ms, repairs)
            changed = self._written(ms, own, repairs)
        return EventTime(changed, own is not None, sent_at is not None, repairs)

    def _written(self, ms: int, own: DeviceTime, repairs: set[str]) -> dict[str, Any]:
        if not own.is_plain:
            repairs.add("spelling")
        elif ms == own.ms:
            return {"timestamp": own.raw}
        return {"timestamp": format_timestamp(ms), "originalTimestamp": own.raw}

    def _own(self, fields: Fields, name: str, repairs: set[str]) -> DeviceTime | None:
        value = given(fields, name)
        time = None if value is None else read_device_time(value)
        if time is not None and time.is_zero:
            repairs.add("zero_time")
            return None
        return time

    def _sent_at_ms(self, own: DeviceTime | None, repairs: set[str]) -> int | None:
        """Returns the event's own `sentAt` if it can be read, else the batch's."""
        for sent_at in (own, self._shared_sent_at):
            if sent_at is not None and sent_at.is_zero:
                repairs.add("zero_time")
            elif sent_at is not None and sent_at.ms is None:
                repairs.add("unreadable_sent_at")
            elif sent_at is not None:
                return sent_at.ms
        return None

    def _right_ms(self, own_ms: int, sent_at_ms: int | None, repairs: set[str]) -> int:
        """Returns a device's time, by the right clock, and not later than it can have been."""
        ms, latest_ms = own_ms, self._received_at_ms
        if sent_at_ms is not None:
            error_ms = clock_error_ms(sent_at_ms, self._received_at_ms)
            if error_ms:
                repairs.add("clock_error")
            ms = corrected_ms(own_ms, error_ms)
            if own_ms > sent_at_ms + TOLERANCE_MS:
                repairs.add("ahead_of_sent_at")
                return self._in_order(min(latest_ms, corrected_ms(sent_at_ms, error_ms)))
        if latest_ms < ms <= latest_ms + MAX_AHEAD_MS:  # the pipeline refuses what is later
            repairs.add("ahead_of_arrival")
            return self._in_order(latest_ms)
        return ms

    def _in_order(self, ms: int) -> int:
        """Returns the time of an event that comes before those that were given one already."""
        ordered_ms = ms - self._following_ms
        self._following_ms += 1
        return ordered_ms
