"""A hostile log: every kind of line that is no event, each with its reason, and odd lines that are events.

Of a malformed line nothing but the reason is expected. A good line is one event of a profile of its own.
"""

import itertools
import json
from typing import NamedTuple

MAX_BYTES = 48 * 1024
MAX_DEPTH = 512


class Line(NamedTuple):
    """One line of a log."""

    data: bytes
    reason: str | None
    """Why it is a dead letter; None for a good line."""
    note: str

    @property
    def payload(self) -> bytes:
        """The line without its end, which may be that of Windows."""
        return self.data.removesuffix(b"\r")


BLANK = [b"", b" ", b"\t", b"\r", b"  \r", b" \t \x0b\x0c"]
"""Lines that are skipped."""
ABSENT = ""
"""Stands for a field that is left out."""

_TIMESTAMP = '"2026-03-02T12:00:00.000Z"'
_numbers = itertools.count()


def message(**fields: str) -> bytes:
    """Returns a message, of a user of its own, with some fields as the JSON given."""
    number = next(_numbers)
    usual = {
        "type": '"track"',
        "event": '"Order Completed"',
        "messageId": f'"mid-{number:04}"',
        "userId": f'"shopper-{number:04}"',
        "timestamp": _TIMESTAMP,
    }
    return (
        "{" + ",".join(f'"{name}":{text}' for name, text in (usual | fields).items() if text) + "}"
    ).encode()


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + "0" + closing * levels


def filled(size: int) -> bytes:
    """Returns a message of exactly so many bytes."""
    short = message(properties='{"note":"HERE"}')
    return short.replace(b"HERE", b"x" * (size - len(short) + 4))


# What is no JSON

NOT_JSON = {
    "cut off": b'{"type":"track","messageId":"m',
    "nothing but a brace": b"{",
    "a brace too many": message() + b"}",
    "two messages": message() + message(),
    "two messages and a comma": message() + b"," + message(),
    "half a list": b"[" + message(),
    "a comma at the end": message()[:-1] + b",}",
    "no value": b'{"type":}',
    "no colon": b'{"type" "track"}',
    "single quotes": message().replace(b'"', b"'"),
    "bare keys": b'{type:"track"}',
    "a comment": message() + b" // bought",
    "words": b"hello, world",
    "undefined": message(properties='{"n":undefined}'),
    "Python": message(properties='{"n":None}'),
    "capitals": message(properties='{"n":True}'),
    "NaN": message(properties='{"n":NaN}'),
    "-NaN": message(properties='{"n":-NaN}'),
    "Infinity": message(properties='{"n":Infinity}'),
    "-Infinity": message(properties='{"n":-Infinity}'),
    "NaN beside a long integer": message(properties='{"n":NaN,"i":12345678901234567890}'),
    "a bare NaN": b"NaN",
    "a number with a leading zero": message(properties='{"n":05}'),
    "a number with a plus": message(properties='{"n":+5}'),
    "a number without a whole part": message(properties='{"n":.5}'),
    "a number that ends in a point": message(properties='{"n":5.}'),
    "a hexadecimal number": message(properties='{"n":0x10}'),
    "a number with underscores": message(properties='{"n":1_000}'),
    "digits of another script": message(properties='{"n":१२}'),
    "a lone minus": message(properties='{"n":-}'),
    "an unknown escape": message(properties=r'{"n":"\x41"}'),
    "half an escape": message(properties=r'{"n":"\u12"}'),
    "an escape of no digits": message(properties=r'{"n":"\uzzzz"}'),
    "an escape with a sign": message(properties=r'{"n":"\u+041"}'),
    "half a surrogate's escape": message(properties=r'{"n":"\ud8"}'),
    "a raw NUL in a text": message(properties='{"n":"a\x00b"}'),
    "a raw tab in a text": message(properties='{"n":"a\tb"}'),
    "a raw carriage return in a text": message(properties='{"n":"a\rb"}'),
    "a NUL at the end": message() + b"\x00",
    "a NUL at the beginning": b"\x00" + message(),
    "nothing but NULs": b"\x00" * 100,
    "carriage returns as ends of lines": message() + b"\r" + message() + b"\r\r",
    "a byte order mark": b"\xef\xbb\xbf" + message(),
    "UTF-16": message().decode().encode("utf-16-le"),
    "UTF-16 with a byte order mark": message().decode().encode("utf-16"),
    "UTF-32": message().decode().encode("utf-32-be"),
    "a gzip header": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "bytes of no text": bytes(byte for byte in range(256) if byte not in b"\n\r"),
    "Latin-1": message(properties='{"n":"café"}').decode().encode("latin-1"),
    "overlong UTF-8 of a slash": message(properties='{"n":"HERE"}').replace(b"HERE", b"\xc0\xaf"),
    "overlong UTF-8 of NUL": message(properties='{"n":"HERE"}').replace(b"HERE", b"\xc0\x80"),
    "a surrogate in UTF-8": message(properties='{"n":"HERE"}').replace(b"HERE", b"\xed\xa0\x80"),
    "a surrogate pair in CESU-8": message(userId='"HERE"').replace(b"HERE", b"\xed\xa0\xbd\xed\xb8\x80"),
    "UTF-8 cut off": message(properties='{"n":"HERE"}').replace(b"HERE", b"\xf0\x9f\x98"),
    "a lone continuation byte": message(userId='"HERE"').replace(b"HERE", b"\x80"),
    "UTF-8 beyond Unicode": message(properties='{"n":"HERE"}').replace(b"HERE", b"\xf4\x90\x80\x80"),
    "broken UTF-8 after the message": message() + b"\xff\xfe",
    "broken UTF-8 beside a long integer": message(userId="12345678901234567890") + b"\xff",
    "lists a level too deep": message(properties='{"deep":' + nested(MAX_DEPTH - 1) + "}"),
    "objects a level too deep": message(properties='{"deep":' + nested(MAX_DEPTH - 1, '{"a":', "}") + "}"),
    "lists 600 deep": message(properties='{"deep":' + nested(600) + "}"),
    "lists 600 deep, and a long integer": message(
        context='{"i":12345678901234567890,"deep":' + nested(600) + "}"
    ),
    "objects 1000 deep": message(traits='{"deep":' + nested(1000, '{"a":', "}") + "}"),
    "lists 1020 deep": message(properties='{"deep":' + nested(1020) + "}"),
    "lists 5000 deep": message(unknown=nested(5000)),
    "objects 5000 deep": message(context=nested(5000, '{"a":', "}")),
    "lists 16000 deep and nothing else": nested(16_000).encode(),
    "16000 lists that do not end": b"[" * 16_000,
    "objects that do not end": b'{"a":' * 5000,
}
NOT_AN_OBJECT = [
    "[]", "[[]]", "null", "true", "false", "0", "-0", "5", "1e5", "1e400", "12345678901234567890", '""', '"text"',
    '"{}"', r'"\ud800"', "  [ ]  ", "[" + ",".join(["{}"] * 1000) + "]",
]  # fmt: skip
TOO_LARGE = {
    "a byte too many": filled(MAX_BYTES + 1),
    "49 KB": filled(49 * 1024),
    "a megabyte": filled(1024 * 1024),
    "a megabyte of words": b"hello " * 180_000,
    "a megabyte of no text": b"\xfe\xff" * 500_000,
    "100000 lists": nested(100_000).encode(),
    "100000 objects in properties": message(properties=nested(100_000, '{"a":', "}")),
    "spaces after a message": message() + b" " * MAX_BYTES + b"x",
}

# What is JSON, and breaks the contract of a field

_NO_TEXTS = ["5", "0", "-1.5", "true", "false", "[]", '["a"]', "{}", '{"id":"a"}', "12345678901234567890"]
_NO_OBJECTS = ['"x"', '""', "5", "0", "true", "false", "[[]]", "[{}]"]
_LONG_IDS = [f'"{text}"' for text in ("x" * 513, "y" * 30_000, "é" * 257, "\\ud800" * 86)]
FIELDS: dict[str, dict[str, list[str]]] = {
    "bad_type": {
        "type": [
            ABSENT, "null", '""', '"Track"', '"TRACK"', '"track "', '" track"', '"tracks"', '"event"', '"$page"',
            r'"track\u0000"', '"trаck"', r'"\ud800"', *_NO_TEXTS,
        ],
    },
    "missing_message_id": {"messageId": [ABSENT, "null", '""']},
    "missing_id": {
        "userId": [
            ABSENT, "null", '""', '" "', r'"\t"', r'"\u2028"', '"null"', '"undefined"', '"0"', '"-1"', '"NaN"', '"true"',
            '"Guest"', '"[object Object]"', '"00000000-0000-0000-0000-000000000000"',
        ],
    },
    "missing_event": {"event": [ABSENT, "null", '""']},
    "bad_field": {
        "messageId": [*_NO_TEXTS, *_LONG_IDS],
        "userId": [*_NO_TEXTS, *_LONG_IDS],
        "anonymousId": [*_NO_TEXTS, *_LONG_IDS],
        "event": [*_NO_TEXTS, '"$x"', '"$"', '"$page"', '"$identify"', r'"\u0024page"'],
        "properties": _NO_OBJECTS,
        "traits": _NO_OBJECTS,
        "context": _NO_OBJECTS,
    },
    "bad_timestamp": {
        "timestamp": [
            ABSENT, "null", *_NO_TEXTS, "1772452800", "1772452800000", '""', '" "', '"now"', '"1772452800"',
            *(
                f'"{text}"'
                for text in [
                    "2026-03-02", "2026-03-02T12:00:00", "2026-03-02T12:00:00.000", "2026-03-02  12:00:00Z",
                    "2026-03-02T12:00Z", "2026-03-02T12Z", "20260302T120000Z", "2026-3-2T12:00:00Z",
                    "26-03-02T12:00:00Z", "2026-03-02T12:00:00,Z", "2026-03-02T12:00:00.Z", "2026-03-02T12:00:00  Z",
                    r"2026-03-02T12:00:00Z\u0000", "2026-03-02T12:00:00ZZ", "2026-03-02T12:00:00EST",
                    "2026-03-02T12:00:00+24:00", "2026-03-02T12:00:00+02:60",
                    "2026-03-02T12:00:00+02000", "2026-03-02T12:00:00+2:00", "2026-03-02T12:00:00+0200 UTC",
                    "2026-03-02T12:00:00Z+02:00", "2026-03-02 12:00:00 +0000 UTC m=+0.000012",
                    "2026-03-02T12:00:60Z", "2016-12-31T23:59:60Z", "2026-03-02T12:60:00Z", "2026-03-02T24:00:00Z",
                    "2026-02-30T12:00:00Z", "2026-02-29T12:00:00Z", "1900-02-29T12:00:00Z", "2026-04-31T12:00:00Z",
                    "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z", "2026-01-00T12:00:00Z", "2026-01-32T12:00:00Z",
                    "0000-01-01T12:00:00Z", "0000-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
                    "+2026-03-02T12:00:00Z", "9999-12-31T23:59:59.999-14:00", "0001-01-01T00:00:00+14:00",
                    "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-W10-1T12:00:00Z",
                    "2026-061T12:00:00Z", "2026/03/02T12:00:00Z", "Mon, 02 Mar 2026 12:00:00 GMT",
                    "2026-03-02T12:00:00 AM", "2026-03-02T12:00:00 PM Z", "２０２６年３月２日",
                ]
            ),
        ],
    },
}  # fmt: skip


def _bad_in_two_fields() -> list[Line]:
    """Several mistakes at once: the first, in the order of the checks, is told."""
    nobody = message(userId="null", anonymousId="null", event='"$x"')
    pairs = [
        ("missing_id", "no id at all", message(userId="null", anonymousId="null")),
        ("missing_id", "empty ids", message(userId='""', anonymousId='""')),
        ("missing_id", "an id under another name", message(userId=ABSENT, user_id='"shopper-x"')),
        ("missing_id", "no id and a reserved name", nobody),
        ("bad_type", "an empty object", b"{}"),
        ("bad_type", "a type that a later one replaces", message(type='"track","type":"click"')),
        ("missing_message_id", "an id that a later one empties", message(messageId='"mid","messageId":""')),
        ("bad_field", "an id that a later one replaces", message(userId='"shopper-x","userId":7')),
        ("bad_field", "no user, and a device's number", message(userId=ABSENT, anonymousId="5")),
        ("bad_field", "a list of products for properties", message(properties='[{"sku":"A"}]')),
        ("bad_timestamp", "a page without a time", message(type='"page"', timestamp=ABSENT)),
        ("not_json", "a field twice, the first no JSON", message(properties='{"n":NaN,"n":1}')),
    ]
    return [Line(data, reason, note) for reason, note, data in pairs]


def malformed() -> list[Line]:
    """Returns the lines that must be dead letters."""
    lines = [Line(data, "not_json", note) for note, data in NOT_JSON.items()]
    lines += [Line(text.encode(), "not_an_object", text[:20]) for text in NOT_AN_OBJECT]
    lines += [Line(data, "too_large", note) for note, data in TOO_LARGE.items()]
    for reason, fields in FIELDS.items():
        for field, texts in fields.items():
            lines += [
                Line(message(**{field: text}), reason, f"{field}: {text[:40] or 'absent'}") for text in texts
            ]
    return lines + _bad_in_two_fields()


def written(lines: list[Line]) -> bytes:
    """Returns the log: the lines, and blank ones between them."""
    blanks = itertools.cycle(BLANK)
    return b"".join(
        line.data + b"\n" + (next(blanks) + b"\n" if at % 7 == 0 else b"") for at, line in enumerate(lines)
    )


def profile_of(line: Line) -> str:
    """Returns the id of the profile of a good line: half surrogate pairs in it are written out."""
    body = json.loads(line.data, parse_int=float)
    return str(body.get("userId") or body["anonymousId"]).encode("utf-8", "backslashreplace").decode()
