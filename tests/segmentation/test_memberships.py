"""The ids of changes, and the rows of the history."""

import pytest

from segmentation.memberships import Change, change_id

PARTS = ("u1", "hot", "entered", 1_772_452_800_000, "m1", "0123456789abcdef")


def test_the_id_of_a_change_is_the_same_in_every_version_of_the_program():
    assert change_id(*PARTS) == "7d435cb701583beed8143f016f1c068b"
    assert change_id("ü", "hot", "exited", -5, None, "0123456789abcdef") == "ce18da96edc43e7749a00f588038e9c9"


@pytest.mark.parametrize(
    ("part", "other"), [*enumerate(["u2", "cold", "exited", 1_772_452_800_001, "m2", "f"])]
)
def test_each_part_of_a_change_makes_another_id(part, other):
    altered = [*PARTS[:part], other, *PARTS[part + 1 :]]
    assert change_id(*altered) != change_id(*PARTS)


def test_parts_do_not_run_into_each_other():
    assert change_id("u", "a,b", "entered", 1, "m", "v") != change_id("u,a", "b", "entered", 1, "m", "v")
    assert change_id("u", "a", "entered", 1, None, "v") != change_id("u", "a", "entered", 1, "null", "v")


def test_a_row_of_the_history():
    change = Change("id", "u1", "hot", "entered", 0, 1, 86_400_000, 7, "v", "event", "m1", False)
    assert change.row() == {
        "change_id": "id",
        "profile_id": "u1",
        "segment": "hot",
        "change": "entered",
        "event_time": "1970-01-01T00:00:00.000Z",
        "processed_at": "1970-01-01T00:00:00.001Z",
        "expires_at": "1970-01-02T00:00:00.000Z",
        "profile_version": 7,
        "segment_version": "v",
        "cause": "event",
        "message_id": "m1",
        "correction": False,
    }
    never = Change("id", "u1", "hot", "exited", 0, 1, None, 7, "v", "time", None, False).row()
    assert (never["expires_at"], never["message_id"]) == (None, None)
