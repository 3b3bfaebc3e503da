"""An error is logged once a minute at most, with how often it was met."""

from transforms.rare_errors import RareError


def test_it_is_logged_at_once_and_then_after_each_pause(caplog):
    now = 100.0
    error = RareError("%d writes were refused", lambda: now)
    error.met(0)
    assert caplog.messages == []
    error.met(2)
    error.met(3)
    now += 59
    error.met(4)
    assert caplog.messages == ["2 writes were refused"]
    now += 1
    error.met(0)
    assert caplog.messages == ["2 writes were refused", "7 writes were refused"]
    now += 60
    error.met(0)
    assert len(caplog.messages) == 2
