"""Recognises, by its first bytes, a file that is no log of JSON lines, and says how to make it one."""

import codecs
import csv
import json
import re
from typing import Any, NamedTuple

from stores.logs import GZIP_MAGIC

HEAD_BYTES = 64 * 1024
"""As many bytes of a file are enough to recognise its format."""


class ForeignFormat(NamedTuple):
    """What a file is instead of JSON lines of messages."""

    what: str
    """What a file looks like."""
    advice: str
    """What to do."""
    command: str = ""
    """The command of a shell that does it, from its input to its output; empty if there is none."""


_BINARY = (
    (GZIP_MAGIC, ForeignFormat("gzip within gzip", "decompress it once", "zcat")),
    (b"PK\x03\x04", ForeignFormat("a zip archive", "unpack it", "funzip")),
    (b"\x28\xb5\x2f\xfd", ForeignFormat("data compressed with zstd", "decompress it", "zstd -dc")),
    (b"BZh", ForeignFormat("data compressed with bzip2", "decompress it", "bzip2 -dc")),
    (b"\xfd7zXZ\x00", ForeignFormat("data compressed with xz", "decompress it", "xz -dc")),
    (b"PAR1", ForeignFormat("Parquet", "export it as JSON lines")),
    (b"Obj\x01", ForeignFormat("Avro", "export it as JSON lines")),
    (b"ORC", ForeignFormat("ORC", "export it as JSON lines")),
)
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_LIST_KEYS = ("events", "data", "records", "Records", "items", "rows", "results", "messages")
_WAREHOUSE_COLUMNS = frozenset(
    (
        "message_id",
        "user_id",
        "anonymous_id",
        "received_at",
        "sent_at",
        "original_timestamp",
        "event_text",
        "uuid_ts",
    )
)
_ONE_MESSAGE, _ONE_OBJECT = "write one message per line", "write each object on one line"
_BATCH = ForeignFormat("bodies of an SDK's requests, with a batch each", _ONE_MESSAGE, "jq -c '.batch[]'")
_ARRAY = ForeignFormat("a JSON array", _ONE_MESSAGE, "jq -c '.[]'")
_PRETTY = ForeignFormat("JSON with line ends inside the objects", _ONE_OBJECT, "jq -c .")
_JOINED = ForeignFormat("JSON objects without line ends between them", _ONE_OBJECT, "jq -c .")
_COMMAS = ForeignFormat("JSON objects with commas after them", "leave out the commas", "sed 's/, *$//'")
_TEXTS = ForeignFormat("JSON within JSON strings", "unpack the strings", "jq -r .")
_PYTHON = ForeignFormat("dictionaries in Python's notation", "write them with json.dumps")
_DEAD_LETTERS = ForeignFormat(
    "dead letters", "take out their payloads and correct them", "jq -r 'select(.encoding == null).payload'"
)
_ROWS = ForeignFormat(
    "rows of a warehouse, with columns such as user_id",
    "turn each row into a message with type, messageId, userId or anonymousId, timestamp, event and properties"
    " (docs/bounded-run.md shows how)",
)
_CSV = ForeignFormat("a table (CSV)", "write each row as a JSON message on a line of its own")


def foreign_format(head: bytes) -> ForeignFormat | None:
    """Returns the format of a file that is not JSON lines of messages; None if it is not recognised.

    Args:
      head: the file's first `HEAD_BYTES` bytes, decompressed once if it is gzip.
    """
    for magic, binary in _BINARY:
        if head.startswith(magic):
            return binary
    encoding = _wide_encoding(head)
    if encoding is not None:
        return ForeignFormat(f"text in {encoding}", "convert it to UTF-8", f"iconv -f {encoding} -t UTF-8")
    text = head.decode("utf-8-sig", errors="replace").strip()
    if text.startswith("["):
        return _ARRAY
    if re.match(r"\{\s*'", text):
        return _PYTHON
    by_json = _of_json(text) if text.startswith(("{", '"')) else None
    return by_json or (_CSV if _begins_table(text) else None)


def _wide_encoding(head: bytes) -> str | None:
    for mark, encoding in _WIDE_MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[:200:2], head[1:200:2]  # of Latin letters, one of the two is zeros
    if odd and all(even) and not any(odd):
        return "UTF-16LE"
    if odd and all(odd) and not any(even):
        return "UTF-16BE"
    return None


def _of_json(text: str) -> ForeignFormat | None:
    try:
        first, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        # longer than the head, or no JSON
        is_batch = re.search(r'"batch"\s*:\s*\[', text) is not None
        return _BATCH if is_batch else _PRETTY if re.match(r"\{\s*\n", text) else None
    if isinstance(first, str):
        return _TEXTS if first.lstrip().startswith("{") else None
    by_content = _of_object(first)
    if by_content is not None:
        return by_content
    if "\n" in text[:end]:
        return _PRETTY
    after = text[end:].lstrip(" \t")
    return _JOINED if after.startswith("{") else _COMMAS if after.startswith(",") else None


def _of_object(first: dict[str, Any]) -> ForeignFormat | None:
    if isinstance(first.get("batch"), list):
        return _BATCH
    if {"payload", "step", "reason"} <= first.keys():
        return _DEAD_LETTERS
    if "type" not in first:
        for key in _LIST_KEYS:
            if isinstance(first.get(key), list):
                return ForeignFormat(
                    f"objects with the messages in a list, {key}", _ONE_MESSAGE, f"jq -c '.{key}[]'"
                )
    columns = [key for key in first if key in _WAREHOUSE_COLUMNS or key.startswith("context_")]
    return _ROWS if "messageId" not in first and len(columns) >= 2 else None


def _begins_table(text: str) -> bool:
    """Returns whether the first line names columns."""
    first = text.splitlines()[:1]
    for separator in ",;\t":
        for names in csv.reader(first, delimiter=separator):
            if len(names) > 1 and all(re.fullmatch(r" *[A-Za-z_$][\w .$-]*", name) for name in names):
                return True
    return False
