"""A file that is no JSON lines is recognised by its first bytes, and the command that is named makes it so."""

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import zipfile
from typing import Any

import pytest

from stores.log_formats import HEAD_BYTES, foreign_format
from tests.events import message

MESSAGES = [message(second, "Order Completed", total=5) for second in range(3)]
LINES = "".join(json.dumps(one) + "\n" for one in MESSAGES)
ROW = {
    "id": "m1",
    "user_id": "u1",
    "event": "ping",
    "event_text": "Ping",
    "timestamp": "2026-03-01 10:00:00 UTC",
}


def joined(*values: Any, by: str = "\n", **how: Any) -> bytes:
    return by.join(json.dumps(value, **how) for value in values).encode()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.jsonl", content)
    return file.getvalue()


FOREIGN = {
    "array": (joined(MESSAGES), "a JSON array"),
    "pretty array": (joined(MESSAGES, indent=2), "a JSON array"),
    "array with a message per line": (b"[\n" + joined(*MESSAGES, by=",\n") + b"\n]\n", "a JSON array"),
    "arrays": (joined(MESSAGES[:2], MESSAGES[2:]), "a JSON array"),
    "array after a mark": (b"\xef\xbb\xbf" + joined(MESSAGES), "a JSON array"),
    "long array": (joined([*MESSAGES, *MESSAGES] * 500)[:-1], "a JSON array"),
    "pretty objects": (joined(*MESSAGES, indent=2), "JSON with line ends inside the objects"),
    "pretty object beyond the head": (
        joined({"messageId": "m1", "note": "x" * 2 * HEAD_BYTES}, indent=2),
        "JSON with line ends inside the objects",
    ),
    "objects without line ends": (joined(*MESSAGES, by=""), "JSON objects without line ends between them"),
    "objects with commas": (joined(*MESSAGES, by=",\n"), "JSON objects with commas after them"),
    "strings": (joined(*map(json.dumps, MESSAGES)), "JSON within JSON strings"),
    "batch": (joined({"batch": MESSAGES, "sentAt": "x"}), "bodies of an SDK's requests, with a batch each"),
    "long batch": (
        joined({"writeKey": "k", "batch": MESSAGES * 500}),
        "bodies of an SDK's requests, with a batch each",
    ),
    "pretty batch": (joined({"batch": MESSAGES}, indent=1), "bodies of an SDK's requests, with a batch each"),
    "list": (joined({"events": MESSAGES}), "objects with the messages in a list, events"),
    "UTF-16": (LINES.encode("utf-16"), "text in UTF-16"),
    "UTF-16, big-endian": (b"\xfe\xff" + LINES.encode("utf-16-be"), "text in UTF-16"),
    "UTF-16 without a mark": (LINES.encode("utf-16-le"), "text in UTF-16LE"),
    "UTF-16, big-endian without a mark": (LINES.encode("utf-16-be"), "text in UTF-16BE"),
    "UTF-32": (LINES.encode("utf-32"), "text in UTF-32"),
    "gzip within gzip": (gzip.compress(LINES.encode()), "gzip within gzip"),
    "bzip2": (bz2.compress(LINES.encode()), "data compressed with bzip2"),
    "xz": (lzma.compress(LINES.encode()), "data compressed with xz"),
    "zip": (zipped(LINES.encode()), "a zip archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", "data compressed with zstd"),
    "Parquet": (b"PAR1\x15\x04", "Parquet"),
    "Avro": (b"Obj\x01\x04", "Avro"),
    "ORC": (b"ORC\n", "ORC"),
    "dead letters": (
        joined(*({"payload": json.dumps(one), "step": "ParseEvents", "reason": "x"} for one in MESSAGES)),
        "dead letters",
    ),
    "CSV": (b"type,event,userId\ntrack,Ping,u1\n", "a table (CSV)"),
    "CSV with quotes": (b'"type","event name"\r\n"track","Ping"\r\n', "a table (CSV)"),
    "CSV with semicolons": (b"type;event;userId\ntrack;Ping;u1\n", "a table (CSV)"),
    "tabs": (b"type\tevent\ntrack\tPing\n", "a table (CSV)"),
    "rows": (joined(ROW), "rows of a warehouse, with columns such as user_id"),
    "rows with context": (
        joined({"context_ip": "x", "context_page_url": "y", "type": "track"}),
        "rows of a warehouse, with columns such as user_id",
    ),
    "Python": ("\n".join(map(repr, MESSAGES)).encode(), "dictionaries in Python's notation"),
}
COMMANDS = [
    name for name, (content, _) in FOREIGN.items() if (found := foreign_format(content)) and found.command
]
MADE_SHORT = {"long array", "long batch", "pretty object beyond the head", "zstd"}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_is_recognised(name: str) -> None:
    content, what = FOREIGN[name]
    found = foreign_format(content[:HEAD_BYTES])
    assert found is not None
    assert found.what == what
    assert found.advice


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in MADE_SHORT])
def test_the_command_makes_a_log_of_it(name: str) -> None:
    content, _ = FOREIGN[name]
    found = foreign_format(content)
    assert found is not None
    program = found.command.split()[0]
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), f"{program} is not installed"
        pytest.skip(f"{program} is not installed")
    made = subprocess.run(["sh", "-c", found.command], input=content, capture_output=True, check=True).stdout
    assert [json.loads(line) for line in made.splitlines() if line] == MESSAGES


OTHERS = {
    "UTF-32 without a mark": LINES.encode("utf-32-le"),
    "messages": LINES.encode(),
    "messages after a mark": b"\xef\xbb\xbf" + LINES.encode(),
    "one message": joined(MESSAGES[0]),
    "columns in a message": joined({**MESSAGES[0], "user_id": "u1", "context_ip": "x"}),
    "long message": joined({**MESSAGES[0], "note": "x" * 2 * HEAD_BYTES}),
    "list in a message": joined({**MESSAGES[0], "data": [1]}),
    "one column": joined({"user_id": "u1", "timestamp": "x"}),
    "object": b"{}",
    "nothing": b"",
    "blank": b"\n",
    "bracket": b"{",
    "quote": b'"',
    "number": b"5",
    "null": b"null",
    "text": b"hello",
    "log with commas": b"2026-03-01 10:00:00, started, by cron",
    "zero": b"\x00",
    "zeros": bytes(500),
    "not UTF-8": b"\xff",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_foreign_format_is_not_taken_for_one(name: str) -> None:
    assert foreign_format(OTHERS[name][:HEAD_BYTES]) is None
