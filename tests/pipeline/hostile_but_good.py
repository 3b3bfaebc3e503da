"""Lines of a hostile log that are events all the same, each of a profile of its own."""

from tests.pipeline.hostile import ABSENT, MAX_BYTES, MAX_DEPTH, Line, filled, message, nested

# Values that may stand at properties.n. Each is a number or a text of its own, and must stay so.
NUMBERS = [
    "0", "1", "-1", "1e308", "-1e308", "1.7976931348623157e308", "5e-324", "0.1e-400", "1e400", "-1e309", "1E+2",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "12345678901234567890123", "-12345678901234567890124",
    "1" + "0" * 30, "1" * 100, "1" * 400, "1" * 1000, "1" * 4000, "-" + "1" * 4001, "1" * 5000, "-" + "1" * 5000,
    "0." + "1" * 5000, "1" * 5000 + "e-5000", "0." + "0" * 5000 + "1", "1e" + "9" * 30, "1e-" + "9" * 30,
]  # fmt: skip
TEXTS = [
    r'"\ud800"', r'"\udfff"', r'"\uD800 and \udc00"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\ud83d\ud83d\ude00"',
    r'"\\ud800"', r'"\\\ud800"', r'"\u0000"', r'"a\u0000b"', '"\u2028\u2029\x85"', '"\x7f"', r'"\/\b\f\n\r\t\"\\"', '""', '" "',
    '"1e5"', '"Infinity"', '"NaN"', '"0x10"', '"१२"', '" 5"', '"05"', '"1e400"', '"-0"', '"true"', '"null"',
    '"' + "9" * 5000 + '"', '"' + "coupon " * 1500 + '"', '"' + "é" * 200 + '"', '"' + "\U0001f600" * 64 + '"',
    '"' + "[{" * 1000 + '"', r'"\"' + "[" * 1000 + '"', '"<script>alert(1)</script>"', "\"'; DROP TABLE x; --\"",
]  # fmt: skip
NO_SCALARS = ["null", "[]", "{}", "[1,[2,[3]]]", '{"a":{"b":null}}', "[null,null]", '{"":{"":""}}']

# Ids that must lead to a key of their own.
USERS = [
    "a\\nb", "a\\r\\nb", "\\u0000", "a\\u0000b", "a b", "a ", " a", "*", "?", "[a-z]", "a*", "h[ae]llo", "\\\\*", "x{}", "{a}",
    "{a}b", "}{", "changes", "profile", "profile:x", "segments:profile:x", ":", "::", "%s", "%00", "${jndi:x}", "../../x", "/",
    "é", "e\\u0301", "É", "ﬁ", "fi", "İ", "ß", "😀", "\\ud83d\\ude01", "\\ud800",
    "\\udc00x", "\\\\udc00y", "\\ufeff", "\\u202e", "\\uffff", "\\u200b", "مستخدم", "用户", "\\\"", "'", "`", "A", "a", "$page",
    "x" * 512, "é" * 256, "😀" * 128, "\\u0001\\u0002", "EVAL", "FLUSHALL", "*3\\r\\n$3\\r\\nDEL",
]  # fmt: skip
TIMESTAMPS = [
    "2026-03-02t12:00:00z", "2026-03-02T12:00:00z", "2026-03-02t12:00:00Z", "2026-03-02T12:00:00-00:00",
    "2026-03-02T23:59:59+23:59", "2026-03-01T13:00:00-23:59", "2026-03-02T12:00:00+14:00", "2026-03-02T17:30:00+05:30",
    "2026-03-02T12:00:00.1Z", "2026-03-02T12:00:00.12345678901234567890123456789Z",
    "2026-03-02T12:00:00." + "9" * 10_000 + "Z", "2024-02-29T12:00:00Z", "2000-02-29T23:59:59.999Z",
    "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "1582-10-10T00:00:00Z", "0001-01-01T00:00:00Z",
    "0001-01-01T14:00:00+14:00", "2026-03-02 12:00:00Z", "2026-03-02T12:00:00,5Z", "2026-03-02T12:00:00+0200",
    "2026-03-02T12:00:00+02", "2026-03-02T12:00:00 +02:00", "2026-03-02T12:00:00−02:00", "2026-03-02T12:00:00UTC",
    "2026-03-02 12:00:00.123 UTC", "2026-03-02T12:00:00.000GMT", "2026-03-02 12:00:00.123 +0000 UTC",
    " 2026-03-02T12:00:00Z", r"2026-03-02T12:00:00Z\n", "２０２６-03-02T12:00:00Z", "٢٠٢٦-٠٣-٠٢T١٢:٠٠:٠٠.٥Z",
    "2026-03-02T12:00:00.१Z",
]  # fmt: skip
FIELDS: dict[str, list[str]] = {
    "type": ['"page"', '"screen"', '"identify"', '"group"', '"alias"', r'"\u0074rack"', '"click","type":"track"'],
    "messageId": [
        '" "', r'"\n"', r'"\u0000"', r'"\ud800"', '"' + "m" * 512 + '"', '"","messageId":"mid-last"', '"5"', '"null"',
    ],
    "anonymousId": ["null", '""', '"device"'],
    "event": ['" $x"', '"*"', r'"\u0000"', '" "', '"' + "e" * 10_000 + '"', '"😀"', '"Order completed"', '"","event":"A"'],
    "properties": [
        "null", "[]", "{}", '{"n":1,"n":2}', '{"a":{"b":1,"b":{"c":2}},"n":3}', r'{"\ud800":1,"\udc00":2,"n":4}', '{"":1}',
        r'{"\u0000":1,"__proto__":{},"constructor":null}', '{"' + "k" * 20_000 + '":1}',
        '{"n":null,"deep":' + nested(200) + "}", '{"deep":' + nested(300, '{"a":', "}") + "}",
        '{"deep":' + nested(MAX_DEPTH - 2) + "}", '{"deep":' + nested(MAX_DEPTH - 2, '{"a":', "}") + "}",
        '{"i":12345678901234567890,"deep":' + nested(MAX_DEPTH - 2) + "}", '{"list":[' + ",".join(["[]"] * 5000) + "]}",
        '{"n":5' + "".join(f',"k{number}":{number}' for number in range(2000)) + "}",
    ],
    "context": ["null", "{}", '{"device":"not an object"}', '{"device":{"type":["ios"]},"ip":null}'],
    "unknown": ["null", "5", "[[[]]]", '{"type":"track"}', '"x"', '"\x7f"'],
}  # fmt: skip
PRODUCTS = [
    "null", "{}", '"A"', "5", "true", "[]", '["A",5,null,true,1.5]', "[[]]", '[[{"price":5}]]', '{"price":5}', "[{}]",
    '[{"price":null}]', '[{"price":true}]', '[{"price":[]}]', '[{"price":{}}]', '[{"price":"१२"}]', '[{"price":" 5"}]',
    '[{"price":"Infinity"}]', '[{"price":"0x10"}]', '[{"price":1e16}]', '[{"price":"5 EUR"}]', '[{"price":"1,000"}]',
    "[" + ",".join(['{"price":"n/a"}'] * 2000) + "]",
]  # fmt: skip
"""None of them has a number at products[].price."""
TRAITS = [
    "null", "{}", '{"plan":null}', '{"plan":[]}', '{"plan":{"a":[1,{"b":2}]}}', '{"plan":' + nested(120) + "}",
    '{"plan":' + nested(MAX_DEPTH - 2) + "}", '{"plan":' + nested(MAX_DEPTH - 2, '{"a":', "}") + "}",
    '{"plan":{"i":18446744073709551616}}', '{"plan":[18446744073709551615,-9223372036854775808]}',
    r'{"plan":["\ud800",{"\udc00":1}]}', '{"plan":"' + "p" * 10_000 + '"}', '{"plan":[1e400,-1e400]}', '{"a":1,"plan":1e400}',
]  # fmt: skip


def good() -> list[Line]:
    """Returns the lines that are events."""
    values = [*NUMBERS, *TEXTS, *NO_SCALARS]
    lines = [Line(message(properties=f'{{"n":{value}}}'), None, f"n: {value[:40]}") for value in values]
    lines += [Line(message(userId=f'"{user}"'), None, f"userId: {user[:40]}") for user in USERS]
    lines += [Line(message(timestamp=f'"{text}"'), None, f"timestamp: {text[:40]}") for text in TIMESTAMPS]
    lines += [
        Line(message(**{field: text}), None, f"{field}: {text[:40]}")
        for field, texts in FIELDS.items()
        for text in texts
    ]
    lines += [
        Line(message(properties=f'{{"products":{products}}}'), None, f"products: {products[:40]}")
        for products in PRODUCTS
    ]
    lines += [
        Line(message(type='"identify"', traits=traits), None, f"traits: {traits[:40]}") for traits in TRAITS
    ]
    return lines + _odd_messages()


def _odd_messages() -> list[Line]:
    device = {"userId": "null", "event": '"Product Viewed"'}
    spaced = message().replace(b'":', b'" :\t ').replace(b",", b" ,\r ")
    odd = {
        "a device": message(**device | {"anonymousId": '"device-1"'}),
        "an empty user, and a device": message(**device | {"userId": '""', "anonymousId": '"device-2"'}),
        "no user, and a device": message(**device | {"userId": ABSENT, "anonymousId": '"device-3"'}),
        "a user twice": message(userId='"shopper-first","userId":"shopper-last"'),
        "a page with a number for a name": message(type='"page"', event="5"),
        "a call with a reserved name that is no track": message(type='"screen"', event='"$x"'),
        "exactly as large as may be": filled(MAX_BYTES),
        "spaces and carriage returns between": spaced,
        "spaces around": b" \t" + message() + b"  ",
        "spaces up to the limit": message().ljust(MAX_BYTES),
        "an end of line as on Windows": message() + b"\r",
        "many numbers": message(properties='{"products":[' + ",".join(['{"x":1e15}'] * 2500) + "]}"),
    }
    return [Line(data, None, note) for note, data in odd.items()]
