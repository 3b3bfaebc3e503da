"""Lines for changes and dead letters."""

from services.live.news import change_line, dead_letter_line

CHANGE = {
    "event_time": "2026-03-02T12:00:00.000Z",
    "profile_id": "ada",
    "change": "entered",
    "segment": "visitor",
    "expires_at": "2026-03-02T12:30:00.000Z",
}


def test_a_change_of_today_has_a_time_and_others_have_a_date_too():
    assert change_line(CHANGE, "2026-03-02") == "12:00:00  ada  entered  visitor  until 2026-03-02 12:30:00"
    assert change_line(CHANGE, "2026-03-03").startswith("2026-03-02 12:00:00  ada  entered  visitor")


def test_a_change_without_an_end():
    fields = {name: value for name, value in CHANGE.items() if name != "expires_at"}
    assert change_line(fields, "2026-03-02") == "12:00:00  ada  entered  visitor"


def test_a_dead_letter():
    letter = {"received_at": "2026-03-02T12:00:00.000Z", "reason": "not_json", "message": "not JSON"}
    assert dead_letter_line(letter) == "12:00:00  dead letter  not_json  not JSON"


def test_a_hostile_id_or_message_is_one_line_of_visible_characters() -> None:
    hostile, shown = "\x1b[2J\u202e\n12:00:00  eve", r"\x1b[2J\u202e\n12:00:00  eve"
    fields = CHANGE | {"profile_id": hostile, "segment": hostile}
    assert f"12:00:00  {shown}  entered  {shown}  until" in change_line(fields, "2026-03-02")
    letter = {"received_at": "2026-03-02T12:00:00.000Z", "reason": hostile, "message": hostile}
    assert dead_letter_line(letter) == f"12:00:00  dead letter  {shown}  {shown}"
