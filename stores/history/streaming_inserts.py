"""Inserts rows into a BigQuery table by streaming inserts, in batches.

Beam's own `WriteToBigQuery` (2.77) is not used, for four reasons. It takes 1.4 ms per row to compute the row's size.
It logs rejected rows. It treats every row as rejected if the table or a permission is missing or a quota is used up.
Without credentials, it opens a login page in a browser.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tenacity
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import bigquery

ANSWER_SECONDS = 60.0
"""The timeout of a request. An answer usually takes less than one second."""
_INVALID_ROW = "invalid"
_FAILURES = (GoogleAPIError, GoogleAuthError, OSError)  # the errors of `requests` are OSErrors
_HINTS = {
    401: "check the credentials",
    403: "check the permission of the job's account to insert into the table, and the quota",
    404: "create the table: the job does not create it",
}
_own = threading.local()


class Row(NamedTuple):
    """A row and its id. BigQuery drops a repeat of an id within about a minute."""

    insert_id: str
    values: Mapping[str, Any]


class RejectedRow(NamedTuple):
    """A row that BigQuery rejected as invalid."""

    position: int
    """The row's index in the call, from 0."""
    columns: tuple[str, ...]
    """The invalid columns; empty if BigQuery names none."""


class InsertError(RuntimeError):
    """BigQuery did not accept valid rows. The message has what to check, and no row."""


class BigQueryTable:
    """Inserts rows into one table, at least once.

    Transient errors (a broken connection, a timeout, a busy service, a used-up quota) are retried with growing
    pauses, then `InsertError` is raised. The caller must then insert the batch again.

    Args:
      name: PROJECT:DATASET.TABLE.
      attempts: the most times that one row is sent.
      sleep: waits between attempts; the argument is in seconds.
      on_throttled: called after every pause with its length in seconds.

    Raises:
      InsertError: this machine has no credentials.
    """

    def __init__(
        self,
        name: str,
        *,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        on_throttled: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._name = name
        self._attempts = attempts
        self._sleep = sleep
        self._on_throttled = on_throttled
        project, _, table = name.rpartition(":")
        self._table = bigquery.TableReference(
            bigquery.DatasetReference(project, table.partition(".")[0]), table.partition(".")[2]
        )
        try:
            self._client = _client(project)
        except GoogleAuthError as error:
            raise InsertError(f"no rows can be sent to {name}: {error}") from None

    def insert(self, rows: Sequence[Row]) -> list[RejectedRow]:
        """Inserts the rows; returns those that BigQuery rejected as invalid.

        Raises:
          InsertError: some rows were neither inserted nor rejected. The inserted ones stay in the table.
        """
        waiting = dict(enumerate(rows))
        rejected: list[RejectedRow] = []
        try:
            self._retrying()(self._send, waiting, rejected)
        except (*_FAILURES, _RowsLeft) as error:
            done = len(rows) - len(waiting)
            raise InsertError(
                f"{self._name} took {done} of {len(rows)} rows, then: {_reason(error)}"
            ) from None
        return sorted(rejected)

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(initial=0.2, max=10, jitter=1),
            sleep=self._pause,
            reraise=True,
        )

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._on_throttled(seconds)

    def _send(self, waiting: dict[int, Row], rejected: list[RejectedRow]) -> None:
        """Sends the waiting rows once, and removes from `waiting` those that were inserted or rejected."""
        positions = list(waiting)
        answers = self._client.insert_rows_json(
            self._table,
            [row.values for row in waiting.values()],
            row_ids=[row.insert_id for row in waiting.values()],
            skip_invalid_rows=True,
            retry=None,  # type: ignore[arg-type]  # None is documented, but not in the annotation
            timeout=ANSWER_SECONDS,
        )
        errors = {positions[answer["index"]]: answer["errors"] for answer in answers}
        for position in positions:
            reasons = {error["reason"] for error in errors.get(position, ())}
            if _INVALID_ROW in reasons:
                columns = {error.get("location") for error in errors[position]} - {"", None}
                rejected.append(RejectedRow(position, tuple(sorted(columns))))
            if not reasons or _INVALID_ROW in reasons:
                del waiting[position]
        if waiting:
            raise _RowsLeft(errors[next(iter(waiting))][0]["reason"])


class _RowsLeft(Exception):
    """Some rows were neither inserted nor rejected; the message is BigQuery's reason."""


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, GoogleAPICallError):
        quota = error.code == 403 and _cause(error).endswith("Exceeded")
        return quota or error.code in (408, 429) or (error.code or 0) >= 500
    if isinstance(error, GoogleAuthError):
        return isinstance(error, TransportError) or bool(error.retryable)
    return isinstance(error, (OSError, _RowsLeft))


def _reason(error: BaseException) -> str:
    """Describes an error without the service's own message, which can quote a row."""
    if isinstance(error, GoogleAPICallError):
        hint = _HINTS.get(error.code or 0)
        return f"HTTP {error.code:d} {_cause(error)}" + (f"; {hint}" if hint else "")
    return str(error) if isinstance(error, _RowsLeft) else type(error).__name__


def _cause(error: GoogleAPICallError) -> str:
    """Returns BigQuery's reason of an error, such as `quotaExceeded`."""
    return str(error.errors[0].get("reason", "")) if error.errors else ""


def _client(project: str) -> bigquery.Client:
    """Returns the thread's client. It is shared, because a local runner sets up its steps again for every bundle."""
    environment = tuple(
        os.environ.get(name) for name in ("BIGQUERY_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS")
    )
    if getattr(_own, "key", None) != (project, environment):
        if hasattr(_own, "client"):
            _own.client.close()
        _own.client = bigquery.Client(project=project)
        _own.key = project, environment
    client: bigquery.Client = _own.client
    return client
