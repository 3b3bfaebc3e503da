"""Connections whose requests are not whole."""

import contextlib
import resource
import socket

from tests.integration.collector.collector_process import CollectorProcess
from tests.waiting import HANGS_AFTER_SECONDS


def head(size_bytes: int, key: str | None) -> bytes:
    """Returns the head of a batch."""
    line = b"X-Write-Key: %s\r\n" % key.encode() if key else b""
    return b"POST /v1/batch HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n" % (line, size_bytes)


def begin(collector: CollectorProcess, begun: bytes) -> socket.socket:
    """Opens a connection and sends what is begun, as far as the collector takes it."""
    connection = socket.create_connection(("127.0.0.1", collector.port), timeout=HANGS_AFTER_SECONDS)
    with contextlib.suppress(ConnectionError):
        connection.sendall(begun)
    return connection


def allow_open_files(files: int) -> None:
    """Lets this process open so many files; the system may allow fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = files if hard == resource.RLIM_INFINITY else min(files, hard)
    assert allowed >= files, f"the system allows {hard} open files; this test needs {files}"
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
