"""The bounds that users and operators meet, as numbers.

Most tests take a bound from the code, and say what happens at it. Its size is here, and in the tests of the
documentation. A change of a bound is a change in both places.
"""

from importlib import import_module

import pytest

KIB, MIB = 1024, 1024 * 1024
SECOND_MS, MINUTE_MS, DAY_MS = 1000, 60_000, 86_400_000
NUMBERS: dict[str, dict[str, float]] = {
    "segmentation.events": {
        "MAX_SENT_BYTES": 32 * KIB,
        "MAX_PAYLOAD_BYTES": 48 * KIB,
        "MAX_ID_BYTES": 512,
        "MAX_DEPTH": 512,
        "MAX_AHEAD_MS": 5 * MINUTE_MS,
    },
    "segmentation.durations": {"MIN_MS": SECOND_MS, "MAX_MS": 400 * DAY_MS, "MAX_CHARACTERS": 64},
    "segmentation.matching.values": {"MAX_NUMBER": 1e15, "MAX_STORED_BYTES": 256},
    "segmentation.memories.rows": {"MAX_EVENTS": 1000, "MAX_ROWS": 10_000},
    "segmentation.profile.state": {"MAX_STATE_BYTES": MIB, "MAX_RECENT_MESSAGES": 1000},
    "segmentation.profile.profile": {"DEFAULT_PROFILE_TTL_MS": 400 * DAY_MS},
    "segmentation.rules.checks": {"MAX_REFERENCE_DEPTH": 100, "MAX_INSTRUCTIONS": 2_000_000},
    "segmentation.rules.schema.values": {
        "MAX_SEGMENTS": 10_000,
        "MAX_EXPRESSION_CHARACTERS": 1000,
        "MAX_LIST_ITEMS": 1000,
        "MAX_STEPS": 20,
        "MAX_PATH_CHARACTERS": 500,
        "MAX_EVENT_NAME_CHARACTERS": 1000,
    },
    "segmentation.documents.document": {"MAX_BYTES": MIB, "MAX_DEPTH": 64, "MAX_VALUES": 600_000},
    "segmentation.documents.problems": {"MAX_LISTED": 20, "MAX_PROBLEMS": 10_000},
    "segmentation.tracking_plan.plan": {"MAX_VIOLATIONS": 20},
    "stores.clock": {"MAX_CLOCK_ERROR_MS": 5 * MINUTE_MS},
    "stores.history.streaming_inserts": {"ANSWER_SECONDS": 60},
    "stores.log_formats": {"HEAD_BYTES": 64 * KIB},
    "stores.segments.writer": {
        "DEFAULT_CHANGES_MAX_LENGTH": 1_000_000,
        "DELETED_TTL_MS": 60 * MINUTE_MS,
        "DEFAULT_IDLE_TTL_MS": 7 * DAY_MS,
    },
    "stores.tracking_plan": {"_MAX_FILES": 1000, "_MAX_BYTES": MIB},
    "stores.private_files": {"PRIVATE_FILE": 0o600, "PRIVATE_FOLDER": 0o700, "PRIVATE_UMASK": 0o077},
    "transforms.timers": {"DRAIN_MS": 5 * MINUTE_MS},
    "transforms.clock_checks": {"PAUSE_SECONDS": 600},
    "transforms.rare_errors": {"PAUSE_SECONDS": 60},
    "transforms.publish_rows": {"MAX_ATTRIBUTE_BYTES": 1024},
    "transforms.shards": {"SHARDS": 32},
    "services.collector.bodies": {
        "MAX_BODY_BYTES": 4 * MIB + 512 * KIB,
        "MAX_EVENTS": 2500,
        "GRACE_SECONDS": 10,
        "WINDOW_SECONDS": 5,
        "MIN_WINDOW_BYTES": 80 * KIB,
    },
    "services.collector.clock_correction": {"TOLERANCE_MS": MINUTE_MS},
    "services.collector.completion": {
        "MAX_SHARED_BYTES": 8 * KIB,
        "MAX_COPIED_BYTES": 8 * MIB,
        "MAX_USER_AGENT_CHARACTERS": 1024,
    },
    "services.collector.errors": {"RETRY_AFTER_SECONDS": 2},
    "services.collector.impatient_protocol": {
        "HEAD_SECONDS": 10,
        "MAX_HEAD_BYTES": 16 * KIB,
        "MAX_HEADERS": 100,
        "MAX_CONNECTIONS": 1500,
        "MAX_BURST_BYTES": 16 * MIB,
        "MAX_PIPELINED_BYTES": 64 * KIB,
        "RESPONSE_SECONDS": 5,
    },
    "services.collector.memory_budget": {
        "MAX_ARRIVING_BYTES": 48 * MIB,
        "MAX_PENDING_BYTES": 24 * MIB,
        "MEMORY_PER_PENDING_BYTE": 5,
        "COPIES": 4,
    },
    "services.collector.publisher": {
        "GATHER_SECONDS": 0.005,
        "MAX_CALL_MESSAGES": 1000,
        "MAX_CALL_BYTES": 9_000_000,
    },
    "services.collector.readiness": {"REACHABLE_WAIT_SECONDS": 1, "RECHECK_SECONDS": 30, "RETRY_SECONDS": 2},
    "services.collector.unknown_paths": {"MAX_LINES": 10, "WINDOW_SECONDS": 600},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_a_bound_is_as_great_as_it_is_meant_to_be(module: str) -> None:
    found = {name: getattr(import_module(module), name) for name in NUMBERS[module]}
    assert found == NUMBERS[module]
