"""Which errors of BigQuery are transient, so that the rows are sent again."""

import pytest
from google.api_core.exceptions import (
    Forbidden,
    InternalServerError,
    NotFound,
    TooManyRequests,
    from_http_status,
)
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from stores.history.streaming_inserts import _is_transient


def forbidden(reason: str) -> Forbidden:
    return Forbidden("no", errors=[{"reason": reason, "message": "no"}])


@pytest.mark.parametrize(
    "error",
    [
        InternalServerError("x"),
        TooManyRequests("x"),
        from_http_status(408, "the request took too long"),
        from_http_status(500, "x"),
        from_http_status(599, "x"),
        forbidden("rateLimitExceeded"),
        forbidden("quotaExceeded"),
        ConnectionResetError(),
        TransportError("the metadata server does not answer"),
        RefreshError("try again", retryable=True),
    ],
    ids=str,
)
def test_is_transient(error: Exception) -> None:
    assert _is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no such table"),
        from_http_status(499, "x"),
        forbidden("accessDenied"),
        DefaultCredentialsError("none"),
        RefreshError("revoked", retryable=False),
        ValueError("x"),
    ],
    ids=str,
)
def test_is_permanent(error: Exception) -> None:
    assert not _is_transient(error)
