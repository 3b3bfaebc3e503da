"""A stand-in for the two endpoints that BigQuery's streaming inserts call: tokens and `insertAll`, over real HTTP.

It takes rows as BigQuery does: each is checked against its table's schema, and with `skipInvalidRows` the good ones
of a request are kept. It can be told to refuse rows, and to fail in every way in which a service fails.
"""

import json
import re
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stores.history.table_schemas import table_schema

Row = dict[str, Any]

_INSERT_PATH = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/?]+)/insertAll(\?.*)?")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_GRANT = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"


class HttpError(NamedTuple):
    """The whole request is answered with an error; no row is taken."""

    status: int
    reason: str


def _every_row(row: Row) -> bool:
    return True


class RowErrors(NamedTuple):
    """Some rows are answered with an error and not taken; the others of the request are."""

    reason: str
    picks: Callable[[Row], bool] = _every_row


class HangUp(NamedTuple):
    """The connection ends without an answer, before or after the rows were taken."""

    rows_taken: bool


class Stall(NamedTuple):
    """No answer comes, and no row is taken, until the client hangs up."""


Fault = HttpError | RowErrors | HangUp | Stall


class Table:
    """A table, made by the schema file of its name, and what was inserted, in order, repeats too."""

    def __init__(self, name: str) -> None:
        self.schema = table_schema(name)
        self.rows: list[Row] = []
        self.insert_ids: list[str] = []
        self.refuses: Callable[[Row], bool] = lambda row: False
        """Rows that are refused for good although they fit the schema."""

    def error_of(self, row: Row) -> dict[str, str] | None:
        """Returns the error that BigQuery would answer for a row; its message quotes the row's values."""
        fields = {field["name"]: field for field in self.schema}
        for name, value in row.items():
            if name not in fields:
                return _invalid(name, "no such field")
            if value is not None and not _fits(fields[name]["type"], value):
                return _invalid(name, f"Could not convert {value!r} to {fields[name]['type']}")
        for name, field in fields.items():
            if field["mode"] == "REQUIRED" and row.get(name) is None:
                return _invalid(name, "Missing required field")
        if self.refuses(row):
            return _invalid("", f"Row {json.dumps(row)} is outside the allowed bounds")
        return None

    def insert(self, rows: list[Row], skip_invalid_rows: bool, fault: RowErrors | None) -> list[Row]:
        """Takes the rows of a request that are valid and that the fault leaves alone; returns `insertErrors`."""
        errors = [self.error_of(row["json"]) for row in rows]
        if fault is not None:
            passing = {"reason": fault.reason}
            errors = [
                passing if fault.picks(row["json"]) else error
                for row, error in zip(rows, errors, strict=True)
            ]
        if not skip_invalid_rows and any(errors):
            errors = [error or {"reason": "stopped"} for error in errors]
        for row, error in zip(rows, errors, strict=True):
            if error is None:
                self.rows.append(row["json"])
                self.insert_ids.append(row["insertId"])
        return [
            {"index": index, "errors": [error]} for index, error in enumerate(errors) if error is not None
        ]


class BigQueryStub:
    """A server that lives as long as a `with` block."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        """By PROJECT:DATASET.TABLE."""
        self.faults: deque[Fault] = deque()
        """What goes wrong with the next requests for inserts, one each; then all goes well."""
        self.lasting_fault: Fault | None = None
        """What goes wrong with every request after those."""
        self.requests: list[list[Row]] = []
        """The rows of each request, taken or not."""
        self.tokens: set[str] = set()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": self}))
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def create_table(self, name: str) -> Table:
        """Makes the table PROJECT:DATASET.NAME by the schema file for NAME."""
        self.tables[name] = Table(name.rpartition(".")[2])
        return self.tables[name]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def write_key_file(self, path: Path, project: str) -> None:
        """Writes the key file of a service account that this server, and nobody else, gives tokens to."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "made-by-a-test",
            "private_key": pem.decode(),
            "client_email": f"test@{project}.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
        }
        path.write_text(json.dumps(account))
        path.chmod(0o600)

    def serve(self, monkeypatch: pytest.MonkeyPatch, folder: Path, project: str) -> None:
        """Leads this process's BigQuery clients here."""
        key_file = folder / "service_account.json"
        self.write_key_file(key_file, project)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", self.url)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
        # Else the credentials ask Google itself, in the background, where they may be used.
        lookup = "google.oauth2.service_account.Credentials._build_regional_access_boundary_lookup_url"
        monkeypatch.setattr(lookup, lambda self, request=None: None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stub: BigQueryStub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            return self._give_token(body)
        match = _INSERT_PATH.fullmatch(self.path)
        if match is None:
            return self._fail(HttpError(404, "notFound"))
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.stub.tokens:
            return self._fail(HttpError(401, "authError"))
        project, dataset, table, _ = match.groups()
        with self.stub.lock:
            self._insert(self.stub.tables.get(f"{project}:{dataset}.{table}"), json.loads(body))

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _give_token(self, body: bytes) -> None:
        if not body.decode().startswith("assertion=") or _GRANT not in body.decode():
            return self._answer(400, {"error": "invalid_grant"})
        token = uuid.uuid4().hex
        self.stub.tokens.add(token)
        self._answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _insert(self, table: Table | None, request: dict[str, Any]) -> None:
        rows = request["rows"]
        assert all(0 < len(row["insertId"]) <= 128 for row in rows)
        self.stub.requests.append([row["json"] for row in rows])
        fault = self.stub.faults.popleft() if self.stub.faults else self.stub.lasting_fault
        if table is None:
            return self._fail(HttpError(404, "notFound"))
        match fault:
            case HttpError():
                return self._fail(fault)
            case Stall():
                self.rfile.read(1)  # nothing comes: returns when the client hangs up
                self.close_connection = True
                return None
            case HangUp(rows_taken=False):
                self.close_connection = True
                return None
        row_errors = fault if isinstance(fault, RowErrors) else None
        errors = table.insert(rows, bool(request.get("skipInvalidRows")), row_errors)
        if isinstance(fault, HangUp):
            self.close_connection = True
            return None
        answer = {"kind": "bigquery#tableDataInsertAllResponse"}
        self._answer(200, {**answer, "insertErrors": errors} if errors else answer)

    def _fail(self, error: HttpError) -> None:
        message = f"{error.reason}: as the test asks"
        details = [{"domain": "global", "reason": error.reason, "message": message}]
        body = {"error": {"code": error.status, "message": message, "errors": details}}
        self._answer(error.status, body)

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _invalid(location: str, message: str) -> dict[str, str]:
    return {"reason": "invalid", "location": location, "debugInfo": "", "message": message}


def _fits(kind: str, value: Any) -> bool:
    """Whether a column of a type takes a JSON value: the forms that rows are written in, and no looser ones."""
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "INTEGER":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "TIMESTAMP":
            return isinstance(value, str) and _is_timestamp(value)
        case "JSON":
            return isinstance(value, str) and _is_json(value)
    raise NotImplementedError(kind)


def _is_timestamp(text: str) -> bool:
    if _TIMESTAMP.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def main() -> None:
    """Serves some tables (arguments after the first) until its input ends; writes the key file that is the first."""
    key_file, *tables = sys.argv[1:]
    with BigQueryStub() as stub:
        stub.write_key_file(Path(key_file), tables[0].partition(":")[0])
        for table in tables:
            stub.create_table(table)
        print(stub.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
