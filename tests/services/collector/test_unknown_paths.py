import logging

import pytest

from services.collector.unknown_paths import MAX_LINES, WINDOW_SECONDS, UnknownPaths, loggable_path

KEY = "secretword"


@pytest.mark.parametrize(
    "path, shown",
    [
        ("/v1/events", "/v1/events"),
        ("/v1/events/", "/v1/events/"),
        ("//v1/batch", "//v1/batch"),
        ("/v1" * 9, "/v1/v1/v1/v1/*"),
        ("/" * 9, "/////*"),
        ("/v1/attribution", "/v1/attribution"),
        ("/pixel/v1", "/pixel/v1"),
        ("/", "/"),
        ("/v1/projects/KEY/settings/x", "/v1/projects/*"),
        ("/v1/profiles/ada", "/v1/profiles/*"),
        ("/wp-login.php", "/*"),
        ("/3f9c0a1e5b7d4c21", "/*"),
        ("/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef/settings", "/*"),
        (f"/{KEY}", "/*"),
        (f"/v1/{KEY}/settings", "/v1/*"),
        ("/v1/ada@shop.example", "/v1/*"),
        ("/v1/a\nERROR collector: forged", "/v1/*"),
        ("/v1/événement", "/v1/*"),
    ],
)
def test_only_the_beginning_of_a_path_is_shown(path: str, shown: str) -> None:
    assert loggable_path(path, lambda text: text == KEY) == shown


def test_each_path_is_logged_once_and_a_scanner_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def logged() -> list[tuple[int, str]]:
        """Returns what was logged since the last call, without what another test's threads may log."""
        records = [record for record in caplog.records if record.name == "collector"]
        caplog.clear()
        return [(record.levelno, record.getMessage()) for record in records]

    now = 0.0
    paths = UnknownPaths(lambda text: False, lambda: now)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        for _ in range(3):
            paths.log("POST", f"/v1/{letter * 20}/{letter}", 404)
    lines = logged()
    assert lines == [(logging.WARNING, f"no route: POST /v1/{letter * 20}/*: 404") for letter in "abcdefghij"]
    assert len(lines) == MAX_LINES
    now = WINDOW_SECONDS
    paths.log("GET", "/v1/batch", 405)
    assert logged() == [
        (logging.WARNING, f"no route: {26 * 3 - MAX_LINES} more requests were not logged"),
        (logging.WARNING, "no route: GET /v1/batch: 405"),
    ]
    now = WINDOW_SECONDS * 3
    paths.log("GET", "/v1/batch", 405)
    assert logged() == [(logging.WARNING, "no route: GET /v1/batch: 405")]
