"""Secrets of Secret Manager: read once per process, and again when what they opened has refused them."""

import functools
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

MakeClient = Callable[[], Any]
"""Makes a `SecretManagerServiceClient`; it travels to the workers, so a function of a module."""
_TIMEOUT_SECONDS = 10
_CHECKS: dict[type[Exception], str] = {
    exceptions.Forbidden: "grant the job's service account roles/secretmanager.secretAccessor on it",
    exceptions.NotFound: "no such version: the name is projects/P/secrets/S/versions/V, where V may be latest",
    exceptions.FailedPrecondition: "enable that version, or name another: it is disabled or destroyed",
    exceptions.Unauthenticated: "this machine has no Google credentials that are valid",
    GoogleAuthError: "this machine has no Google credentials that are valid",
}
_PASSING = (
    exceptions.ServiceUnavailable,
    exceptions.GatewayTimeout,
    exceptions.TooManyRequests,
    exceptions.InternalServerError,
    exceptions.Aborted,
)


class SecretError(RuntimeError):
    """A secret cannot be read; the message has its name and what to check, never what it holds."""

    def __init__(self, name: str, check: str, transient: bool = False) -> None:
        super().__init__(f"{name} cannot be read: {check}")
        self.transient = transient
        """It may pass within seconds."""


class Secrets:
    """The process's copies of secrets; threads share it. Names travel between machines, copies never do."""

    def __init__(self, make_client: MakeClient) -> None:
        self._make_client = make_client
        self._lock = threading.Lock()
        self._client: Any = None
        self._values: dict[str, str] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets stay in their process")

    def read(self, name: str) -> str:
        """Returns what a version holds, without the line end that a shell may have added to it.

        Args:
          name: projects/P/secrets/S/versions/V.

        Raises:
          SecretError: it cannot be read, or holds no text.
        """
        with self._lock:
            if name not in self._values:
                self._values[name] = _text(name, self._access(name))
            return self._values[name]

    def forget(self, name: str) -> None:
        """Makes the next `read` ask again."""
        with self._lock:
            self._values.pop(name, None)

    def _access(self, name: str) -> bytes:
        try:
            if self._client is None:
                self._client = self._make_client()
            version = self._client.access_secret_version(name=name, retry=None, timeout=_TIMEOUT_SECONDS)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            # The text of the original may say more than a log should hold.
            raise SecretError(name, _check(error), isinstance(error, _PASSING)) from None
        return bytes(version.payload.data)


@functools.cache
def secrets_of(make_client: MakeClient) -> Secrets:
    """Returns the process's secrets of a client."""
    return Secrets(make_client)


def secret_manager() -> Any:
    """Returns a client with the credentials of this machine."""
    from google.cloud.secretmanager import SecretManagerServiceClient  # takes long, and few runs need it

    return SecretManagerServiceClient()


def _check(error: Exception) -> str:
    for kind, check in _CHECKS.items():
        if isinstance(error, kind):
            return f"{type(error).__name__}: {check}"
    return f"{type(error).__name__}: Secret Manager does not answer as it should"


def _text(name: str, data: bytes) -> str:
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretError(name, "it holds no UTF-8 text") from None
    if not text:
        raise SecretError(name, "it is empty")
    return text
