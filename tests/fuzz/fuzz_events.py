"""Coverage-guided fuzzing of parsing and the fold, with atheris, which has packages for Linux only.

    .venv/bin/uv pip install --target build/atheris atheris==3.0.0
    mkdir -p build/corpus
    PYTHONPATH=build/atheris .venv/bin/python -m tests.fuzz.fuzz_events build/corpus tests/fuzz/corpus \
        -max_total_time=300 -max_len=40000 -timeout=60

What it finds lies in build/corpus; a program that broke something, in crash-*, goes into tests/fuzz/corpus, which
the tests run. `-merge=1 tests/fuzz/corpus build/corpus` adds what reached something new.
"""

import json
import sys
from random import Random
from typing import Any

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["segmentation", "transforms"]):
    from tests.fuzz import harness

SCALARS = [
    *(None, True, False, 0, 1, -1, 1.5, -0.0, 0.1, 1e-300, 1e308, float("inf"), float("-inf"), 10**15, -(10**15)),
    *(2**63, 2**64, -(2**63) - 1, 10**400, "", "a", "A", "B", "1", "1e5", "1e400", "-0", "x" * 300, "\ud800", "a\x00"),
    *("é" * 128, "9" * 400, "$x", "track", "identify", "page", "$page", [], {}, [1], {"t": 1}, [{"n": 1}]),
    *("2026-03-02T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-03-02T12:00:05.999+00:01"),
]  # fmt: skip
INSTANTS = [b"@", b"@0", b"@-62135596800000", b"@253402300799999", b"@1772452805000", b"@1772452800001"]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Changes one line of a program, or the order of its lines; now and then some bytes."""
    random = Random(seed)
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(10):
        case 0:
            return bytes(atheris.Mutate(data, max_size))
        case 1:
            lines[0] = b"%d%s" % (random.randrange(10), random.choice([b"", b"live"]))
        case 2:
            lines.insert(random.randint(1, len(lines)), random.choice(INSTANTS))
        case 3:
            lines.insert(random.randint(1, len(lines)), _mutated(lines[at], random))
        case 4 if len(lines) > 2:
            lines.insert(random.randint(1, len(lines) - 1), lines.pop(max(at, 1)))
        case _:
            for _ in range(random.randint(1, 3)):
                lines[at] = _mutated(lines[at], random)
    return b"\n".join(lines)[:max_size]


def _mutated(line: bytes, random: Random) -> bytes:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(line, len(line) + 64))
    if not isinstance(body, dict):
        return line
    container, key = random.choice(_places(body))
    match random.randrange(8):
        case 0:
            container[key] = [container[key]] * random.choice([1, 2, 30])
        case 1:
            container[key] = {random.choice(["n", "t", "list", "price", "a"]): container[key]}
        case 2:
            container[key] = random.choice(random.choice(_places(body))[0:1])
        case 3 if isinstance(container[key], int | float):
            container[key] *= random.choice([-1, 2, 1000, 10**12])
        case 4 if isinstance(container, dict):
            container[f"messageId{random.choice(['', '2'])}"] = str(random.randrange(100))
        case _:
            container[key] = random.choice(SCALARS)
    try:
        return json.dumps(body).replace("Infinity", "1e400").encode()
    except (ValueError, RecursionError):  # it holds itself, or nests too deeply
        return line


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Where something stands in a message: pairs of an object or list, and a key or position."""
    if isinstance(value, dict):
        pairs = list(value.items())
    else:
        pairs = list(enumerate(value)) if isinstance(value, list) else []
    return [place for key, inner in pairs for place in [(value, key), *_places(inner)]]


if __name__ == "__main__":
    atheris.Setup(sys.argv, lambda data: harness.run(data), custom_mutator=mutate)
    atheris.Fuzz()
