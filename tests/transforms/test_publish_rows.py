"""Rows become valid Pub/Sub messages, with any values of their fields."""

import json

import pytest

from transforms.publish_rows import MAX_ATTRIBUTE_BYTES, _to_message


def test_the_fields_to_filter_on_stand_in_attributes_too():
    row = {"change_id": "c1", "profile_id": "alice", "correction": False, "cause": None, "message_id": "m1"}
    message = _to_message(row, ("change_id", "profile_id", "correction", "cause"))
    assert json.loads(message.data) == row
    assert message.attributes == {
        "change_id": "c1",
        "profile_id": "alice",
        "correction": "false",
        "cause": "",
    }


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_an_id_too_long_for_an_attribute_stands_in_the_message_only(letter):
    """Pub/Sub would refuse the message for good, and the pipeline would try for ever."""
    fitting = letter * (MAX_ATTRIBUTE_BYTES // len(letter.encode()))
    assert _to_message({"profile_id": fitting}, ("profile_id",)).attributes == {"profile_id": fitting}
    message = _to_message({"profile_id": fitting + letter}, ("profile_id",))
    assert message.attributes == {}
    assert json.loads(message.data) == {"profile_id": fitting + letter}
