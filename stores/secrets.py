"""Reads secrets from Secret Manager, once per process, and again after a secret was rejected."""

import functools
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

MakeClient = Callable[[], Any]
"""Makes a `SecretManagerServiceClient`. It is pickled for the workers, so it must be a module-level function."""
_TIMEOUT_SECONDS = 10
_CHECKS: dict[type[Exception], str] = {
    exceptions.Forbidden: "grant the job's service account roles/secretmanager.secretAccessor on it",
    exceptions.NotFound: "no such version: the name is projects/P/secrets/S/versions/V, where V may be latest",
    exceptions.FailedPrecondition: "enable that version, or name another: it is disabled or destroyed",
    exceptions.Unauthenticated: "this machine has no valid Google credentials",
    GoogleAuthError: "this machine has no valid Google credentials",
}
_TRANSIENT = (
    exceptions.ServiceUnavailable,
    exceptions.GatewayTimeout,
    exceptions.TooManyRequests,
    exceptions.InternalServerError,
    exceptions.Aborted,
)


class SecretError(RuntimeError):
    """A secret cannot be read. The message has its name and what to check, never its value."""

    def __init__(self, name: str, check: str, transient: bool = False) -> None:
        super().__init__(f"{name} cannot be read: {check}")
        self.transient = transient
        """Whether the error can pass within seconds."""


class Secrets:
    """The process's cache of secret values. Threads share it. It cannot be pickled, so values stay in the process."""

    def __init__(self, make_client: MakeClient) -> None:
        self._make_client = make_client
        self._lock = threading.Lock()
        self._client: Any = None
        self._values: dict[str, str] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets must not leave their process")

    def read(self, name: str) -> str:
        """Returns the value of a version, without a line end that a shell may have added.

        Args:
          name: projects/P/secrets/S/versions/V.

        Raises:
          SecretError: the secret cannot be read, is empty or is not UTF-8.
        """
        with self._lock:
            if name not in self._values:
                self._values[name] = _text(name, self._access(name))
            return self._values[name]

    def forget(self, name: str) -> None:
        """Removes a secret from the cache, so that the next `read` gets the newest version."""
        with self._lock:
            self._values.pop(name, None)

    def _access(self, name: str) -> bytes:
        try:
            if self._client is None:
                self._client = self._make_client()
            version = self._client.access_secret_version(name=name, retry=None, timeout=_TIMEOUT_SECONDS)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            # The original text may contain data that must not be logged.
            raise SecretError(name, _check(error), isinstance(error, _TRANSIENT)) from None
        return bytes(version.payload.data)


@functools.cache
def secrets_of(make_client: MakeClient) -> Secrets:
    """Returns the process's one cache of secrets for a client."""
    return Secrets(make_client)


def secret_manager() -> Any:
    """Returns a client of Secret Manager with this machine's credentials."""
    from google.cloud.secretmanager import SecretManagerServiceClient  # a slow import that few runs need

    return SecretManagerServiceClient()


def _check(error: Exception) -> str:
    for kind, check in _CHECKS.items():
        if isinstance(error, kind):
            return f"{type(error).__name__}: {check}"
    return f"{type(error).__name__}: Secret Manager failed"


def _text(name: str, data: bytes) -> str:
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretError(name, "it is not UTF-8") from None
    if not text:
        raise SecretError(name, "it is empty")
    return text
