"""What the collector refuses: SDKs read the status, `code` and `message` of the JSON body, and Retry-After."""

RETRY_AFTER_SECONDS = 2
"""How long SDKs wait when Pub/Sub is away or the collector is full, before their own back-off is added."""


class RefusedRequest(Exception):
    """A request that is answered with an error.

    Args:
      status: of the HTTP response.
      code: a word that stays the same for the same cause.
      message: what was wrong; never a value of the user's.
      retry_after_seconds: when it is worth while to try again; None where it is not.
    """

    def __init__(self, status: int, code: str, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.closes_connection = False
        """The client still sends, and is not listened to."""


class Unavailable(RefusedRequest):
    """Nothing is wrong with the request: 503, try again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(503, code, message, RETRY_AFTER_SECONDS)
