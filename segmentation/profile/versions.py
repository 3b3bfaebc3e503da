"""The versions of a profile: numbers that only grow, also over jobs and runs that start without its state.

A new state begins at the version of the processing time of its creation, and each change or snapshot takes the next
one. A state that is created later therefore has higher versions, as long as its profile had fewer changes in the
meantime than a millisecond has versions, on average.
"""

LAST_VERSION = 2**53 - 1
"""The highest version. Lua and JavaScript compare numbers exactly only up to it."""
_FINE_UNTIL_MS = 1_830_297_600_000
"""2028-01-01T00:00:00.000Z.

All versions began at 4096 × the milliseconds before this function existed, which reaches `LAST_VERSION` in 2039. The
change lies ahead of the release, so that a job of an earlier release, or a rollback to it, does not write versions
which those of this release only reach much later.
"""
_PER_MS_AT_FIRST = 4096
_PER_MS = 256


def first_version(created_ms: int) -> int:
    """Returns the version at which a new state begins; it grows with the processing time, to the year 2214.

    A later processing time has `LAST_VERSION`, and one before 1970 has 0.

    Args:
      created_ms: the processing time in Unix milliseconds.
    """
    fine_ms = min(created_ms, _FINE_UNTIL_MS)
    version = fine_ms * _PER_MS_AT_FIRST + (created_ms - fine_ms) * _PER_MS
    return min(max(version, 0), LAST_VERSION)


def next_version(version: int) -> int:
    """Returns the version after another one. `LAST_VERSION` has no successor and stays."""
    return min(version + 1, LAST_VERSION)


def replaces(version: int, known: int) -> bool:
    """Whether a snapshot of a version replaces a known one: it is higher, or both are `LAST_VERSION`."""
    return version > known or version == known == LAST_VERSION
