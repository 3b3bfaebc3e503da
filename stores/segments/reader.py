"""Reads the segment store: profiles, and the stream of changes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from segmentation.memberships import Membership
from segmentation.timestamps import parse_timestamp
from stores.redis.client import Client
from stores.segments.keys import changes_key, profile_id_of, profile_key, profile_pattern

_SCAN_COUNT = 1000


class StoredMemberships(NamedTuple):
    """A profile's memberships as Redis stores them."""

    version: int
    updated_at_ms: int | None
    """The profile time of the snapshot; None if only the version is left, because the profile says nothing any more."""
    segments: dict[str, Membership]


class SegmentReader:
    """Reads the segment store. Methods raise redis-py's errors.

    Args:
      client: a client that returns bytes, of the server or cluster.
      key_prefix: the start of every key.
    """

    def __init__(self, client: Client, key_prefix: str) -> None:
        self._client: Any = client
        self._key_prefix = key_prefix

    def profile_ids(self) -> Iterator[str]:
        """Yields the id of every key of a profile. An id can occur twice if keys are written meanwhile."""
        for key in self._client.scan_iter(profile_pattern(self._key_prefix), count=_SCAN_COUNT):
            yield profile_id_of(self._key_prefix, key)

    def fields(self, profile_id: str) -> dict[str, str]:
        """Returns a profile's fields as they are stored; an empty dict if the key does not exist."""
        stored: Mapping[bytes, bytes] = self._client.hgetall(profile_key(self._key_prefix, profile_id))
        return {field.decode(): value.decode() for field, value in stored.items()}

    def memberships(self, profile_id: str) -> StoredMemberships | None:
        """Returns a profile's memberships; None if Redis has no key of it, so that it is in no segment."""
        key = profile_key(self._key_prefix, profile_id)
        version, updated_at, segments = self._client.hmget(key, "version", "updated_at", "segments")
        if version is None:
            return None
        updated_at_ms = None if updated_at is None else parse_timestamp(updated_at.decode())
        return StoredMemberships(int(version), updated_at_ms, _memberships(segments or b"{}"))

    def segments_of(self, profile_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Membership]]]:
        """Yields each profile id with its memberships by segment, read in one round trip.

        An id is left out if Redis has no key of it, or only its version.
        """
        ids = list(profile_ids)
        pipeline = self._client.pipeline(transaction=False)
        for profile_id in ids:
            pipeline.hget(profile_key(self._key_prefix, profile_id), "segments")
        for profile_id, segments in zip(ids, pipeline.execute(), strict=True):
            if segments is not None:
                yield profile_id, _memberships(segments)

    def changes_after(self, entry_id: str, count: int, wait_ms: int) -> list[tuple[str, dict[str, str]]]:
        """Returns the next entries of the stream of changes, each as its id and its fields.

        Args:
          entry_id: the id of the last entry that was read; "0" for the start of the stream.
          count: the most entries to return.
          wait_ms: how long to wait for the first entry, in milliseconds.
        """
        stream = changes_key(self._key_prefix)
        found: Any = self._client.xread({stream: entry_id}, count=count, block=wait_ms)
        return [
            (
                entry.decode(),
                {name.decode(): value.decode(errors="replace") for name, value in fields.items()},
            )
            for _, entries in found
            for entry, fields in entries
        ]


def _memberships(segments: bytes) -> dict[str, Membership]:
    return {
        name: Membership(parse_timestamp(stored["entered_at"]), _optional_ms(stored["expires_at"]))
        for name, stored in orjson.loads(segments).items()
    }


def _optional_ms(timestamp: str | None) -> int | None:
    return None if timestamp is None else parse_timestamp(timestamp)
