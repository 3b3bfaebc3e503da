"""Puts the counts of a local run into words, the same for every report."""

from collections.abc import Mapping
from typing import NamedTuple

from segmentation.printable import printable
from transforms.update_profiles import SKIPPED_PREFIX

_PROBLEMS = {"no_number": "is no number", "other_type": "is of another type"}
_DEAD_LETTERED = "events_dead_lettered_"


class ReportLine(NamedTuple):
    """A line of a report."""

    name: str
    number: int
    remark: str


def dead_letters_by_reason(counts: Mapping[str, int]) -> dict[str, int]:
    """Returns the number of dead letters for each reason, the most frequent first."""
    found = {
        name.removeprefix(_DEAD_LETTERED): count
        for name, count in counts.items()
        if name.startswith(_DEAD_LETTERED) and count
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def event_counts(counts: Mapping[str, int]) -> list[ReportLine]:
    """Returns what became of the lines of a log.

    Args:
      counts: the job's counters by name.
    """
    by_reason = dead_letters_by_reason(counts)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in by_reason.items())
    lines = [
        ReportLine("events read", counts.get("events_read", 0), ""),
        ReportLine(
            "dead letters",
            sum(by_reason.values()),
            "could not be processed; stored whole, with the reason" + (f": {reasons}" if reasons else ""),
        ),
        ReportLine("late", counts.get("events_late", 0), "came after a later event of the same profile"),
        ReportLine(
            "repeated", counts.get("events_repeated", 0), "had the messageId of an earlier event; dropped"
        ),
    ]
    if differing := counts.get("events_repeated_differing"):
        remark = (
            "of the repeated events, had another content than the first: several events share a messageId"
        )
        lines.append(ReportLine("differing", differing, remark))
    if ignored := counts.get("ids_ignored"):
        lines.append(ReportLine("ignored ids", ignored, "stand for no id, such as undefined or null"))
    if after := counts.get("events_after_as_of"):
        lines.append(ReportLine("after as_of", after, "have a timestamp after the as-of instant; dropped"))
    if far_before := counts.get("events_far_before_as_of"):
        remark = "lie more than --profile_ttl before the as-of instant; counted like all others"
        lines.append(ReportLine("far before as_of", far_before, remark))
    return lines


def profile_counts(counts: Mapping[str, int]) -> list[ReportLine]:
    """Returns how many profiles there were, and how their memberships changed.

    `entered` minus `exited` is the number of memberships that a run without earlier state ends with.

    Args:
      counts: the job's counters by name.
    """
    momentary = counts.get("momentary_memberships", 0)
    lines = [
        ReportLine("profiles", counts.get("profiles_created", 0), "had an event"),
        ReportLine(
            "entered", counts.get("segments_entered", 0) - momentary, "memberships that began, and lasted"
        ),
        ReportLine(
            "exited", counts.get("segments_exited", 0) - momentary, "memberships that ended, after a while"
        ),
        ReportLine("corrections", counts.get("corrections", 0), "entries and exits that late events caused"),
    ]
    if momentary:
        remark = "memberships that ended when they began; neither entered nor exited counts them"
        lines.append(ReportLine("momentary", momentary, remark))
    if skipped := sum(number for _, number, _ in skipped_values(counts)):
        remark = "values that conditions could not use; --report_skipped lists them"
        lines.append(ReportLine("skipped values", skipped, remark))
    return lines


def write_counts(counts: Mapping[str, int]) -> list[ReportLine]:
    """Returns the writes to Redis that were refused, if there were any.

    Args:
      counts: the job's counters by name.
    """
    lines = []
    if stale := counts.get("redis_writes_stale"):
        lines.append(
            ReportLine("stale writes", stale, "were refused: Redis has a newer version of the profile")
        )
    if taken_over := counts.get("redis_writes_taken_over"):
        remark = "of the stale writes, are of profiles that another job or run has taken over: docs/redis.md"
        lines.append(ReportLine("taken over", taken_over, remark))
    return lines


def skipped_values(counts: Mapping[str, int]) -> list[ReportLine]:
    """Returns the values that conditions skipped, by definition and path, the most frequent first.

    Args:
      counts: the job's counters by name.
    """
    lines = []
    for name, count in counts.items():
        if name.startswith(SKIPPED_PREFIX):
            problem, owner, path = name.removeprefix(SKIPPED_PREFIX).split(":", 2)
            lines.append(ReportLine(owner, count, f"{printable(path)} {_PROBLEMS[problem]}"))
    return sorted(lines, key=lambda line: (-line.number, line.name, line.remark))


def skipped_report(counts: Mapping[str, int]) -> list[str]:
    """Returns the lines of the report of skipped values."""
    skipped = skipped_values(counts)
    lines = [f"  {number:>9,}  {owner:<24}  {problem}" for owner, number, problem in skipped]
    return ["skipped values, by definition:", *(lines or ["  none"])]
