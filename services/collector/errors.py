"""Errors that refuse a request: SDKs read the status, `code` and `message` of the JSON body, and Retry-After."""

import traceback

RETRY_AFTER_SECONDS = 2
"""The header Retry-After of a 503. SDKs add their own back-off."""


class RefusedRequest(Exception):
    """A request that is answered with an error.

    Args:
      status: the HTTP status.
      code: a stable name of the cause, such as `not_json`.
      message: a description for people, without user data.
      retry_after_seconds: the header Retry-After; None: a retry would fail again.
    """

    def __init__(self, status: int, code: str, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.closes_connection = False
        """True: the body was not read to its end, so the connection cannot be reused."""


class Unavailable(RefusedRequest):
    """The request is valid but cannot be accepted now: 503, retry later."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(503, code, message, RETRY_AFTER_SECONDS)


def free_frames(error: BaseException | None) -> None:
    """Frees what the frames of a handled error hold, such as the messages of a request.

    A frame that holds the error itself is a cycle, which the garbage collector would free much later.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
