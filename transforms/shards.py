"""Shards: the keys of the steps that write, so that a bundle has few keys and full batches."""

import zlib

SHARDS = 32
"""The number of keys of the writers' input: enough to use all workers, few enough for full batches."""


def shard_of(profile_id: str) -> int:
    """Returns the shard of a profile, which is the same in every process."""
    return zlib.crc32(profile_id.encode("utf-8", "surrogatepass")) % SHARDS
