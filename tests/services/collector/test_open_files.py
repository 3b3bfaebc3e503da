"""The collector raises the limit of open files to what its connections need, or says that it cannot."""

import resource

import pytest

from services.collector.__main__ import _OPEN_FILES, _allow_open_files
from services.collector.impatient_protocol import MAX_CONNECTIONS

UNLIMITED = resource.RLIM_INFINITY


def test_every_connection_may_be_open_beside_other_files() -> None:
    assert _OPEN_FILES == MAX_CONNECTIONS + 256


@pytest.mark.parametrize(
    "limits, allowed, warning",
    [
        ((1024, 4096), _OPEN_FILES, ""),
        ((1024, UNLIMITED), _OPEN_FILES, ""),
        ((1024, 1200), 1200, f"at most 1200 files may be open; the collector needs {_OPEN_FILES}"),
        ((_OPEN_FILES, 4096), None, ""),
        ((UNLIMITED, UNLIMITED), None, ""),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    limits: tuple[int, int],
    allowed: int | None,
    warning: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limited: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: limited.append(new))
    _allow_open_files()
    assert limited == ([] if allowed is None else [(allowed, limits[1])])
    assert "".join(caplog.messages) == warning
