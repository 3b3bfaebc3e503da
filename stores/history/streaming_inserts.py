"""Streaming inserts into a BigQuery table, in batches. No Beam here.

Beam's own `WriteToBigQuery` (2.77) is not used: it walks a row's objects for 1.4 ms to learn the row's size, writes
refused rows into the log, takes every row for refused when the table or a permission is missing or a quota is used
up, and asks for a login in a browser where there are no credentials.
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
"""How long an answer is waited for: they usually come within one."""
_ROW_AT_FAULT = "invalid"
_FAILURES = (GoogleAPIError, GoogleAuthError, OSError)  # what requests raises is an OSError
_ADVICE = {
    401: "are the credentials right?",
    403: "may the job's account insert into the table, and is there quota left?",
    404: "the table has to exist: the job makes none",
}
_own = threading.local()


class Row(NamedTuple):
    """A row, and the id by which BigQuery drops a repeat that comes within about a minute."""

    insert_id: str
    values: Mapping[str, Any]


class Refusal(NamedTuple):
    """A row that BigQuery finds invalid."""

    position: int
    """Among the rows of the call, from 0."""
    columns: tuple[str, ...]
    """What it blames; none where it does not say."""


class InsertError(RuntimeError):
    """BigQuery did not take rows, through no fault of theirs; the message says what to check and quotes no row."""


class BigQueryTable:
    """Inserts rows into one table, at least once.

    What may pass (a broken connection, no answer, a busy service, a quota used up) is tried again with growing
    pauses, then `InsertError` is raised: nothing is dropped, and the caller inserts the batch again.

    Args:
      name: PROJECT:DATASET.TABLE.
      attempts: how often a row is sent at most.
      sleep: pauses for so many seconds between attempts.
      on_throttled: is told the seconds of every pause.

    Raises:
      InsertError: there are no credentials.
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

    def insert(self, rows: Sequence[Row]) -> list[Refusal]:
        """Inserts the rows; returns those that BigQuery refuses for good.

        Raises:
          InsertError: it did not take, or refuse, all of them; those it took stay.
        """
        waiting = dict(enumerate(rows))
        refusals: list[Refusal] = []
        try:
            self._retrying()(self._send, waiting, refusals)
        except (*_FAILURES, _RowsWait) as error:
            settled = len(rows) - len(waiting)
            raise InsertError(
                f"{self._name} took {settled} of {len(rows)} rows, then: {_reason(error)}"
            ) from None
        return sorted(refusals)

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(initial=0.2, max=10, jitter=1),
            sleep=self._pause,
            reraise=True,
        )

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._on_throttled(seconds)

    def _send(self, waiting: dict[int, Row], refusals: list[Refusal]) -> None:
        """Sends the waiting rows once, and strikes out those that are taken or refused."""
        positions = list(waiting)
        answers = self._client.insert_rows_json(
            self._table,
            [row.values for row in waiting.values()],
            row_ids=[row.insert_id for row in waiting.values()],
            skip_invalid_rows=True,
            retry=None,  # type: ignore[arg-type]  # as its documentation says
            timeout=ANSWER_SECONDS,
        )
        errors = {positions[answer["index"]]: answer["errors"] for answer in answers}
        for position in positions:
            reasons = {error["reason"] for error in errors.get(position, ())}
            if _ROW_AT_FAULT in reasons:
                columns = {error.get("location") for error in errors[position]} - {"", None}
                refusals.append(Refusal(position, tuple(sorted(columns))))
            if not reasons or _ROW_AT_FAULT in reasons:
                del waiting[position]
        if waiting:
            raise _RowsWait(errors[next(iter(waiting))][0]["reason"])


class _RowsWait(Exception):
    """Some rows were neither taken nor refused, for this reason."""


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, GoogleAPICallError):
        quota = error.code == 403 and _cause(error).endswith("Exceeded")
        return quota or error.code in (408, 429) or (error.code or 0) >= 500
    if isinstance(error, GoogleAuthError):
        return isinstance(error, TransportError) or bool(error.retryable)
    return isinstance(error, (OSError, _RowsWait))


def _reason(error: BaseException) -> str:
    """Returns what went wrong, without the service's own words: they may quote a row."""
    if isinstance(error, GoogleAPICallError):
        advice = _ADVICE.get(error.code or 0)
        return f"HTTP {error.code:d} {_cause(error)}" + (f"; {advice}" if advice else "")
    return str(error) if isinstance(error, _RowsWait) else type(error).__name__


def _cause(error: GoogleAPICallError) -> str:
    """Returns BigQuery's one word for an error."""
    return str(error.errors[0].get("reason", "")) if error.errors else ""


def _client(project: str) -> bigquery.Client:
    """Returns the thread's client: a local runner sets its steps up anew for every bundle."""
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
