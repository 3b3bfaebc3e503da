"""Parsing of YAML 1.2: scalars, lines of values, and the limits of a file."""

import math
from typing import Any

import pytest
import yaml

from segmentation.documents import document as documents
from segmentation.documents.document import MAX_BYTES, MAX_DEPTH, read_document
from segmentation.documents.problems import Problems


def value(text: str) -> Any:
    document = read_document(text)
    assert document.problems == []
    return document.value


def refused(text: str) -> str:
    with pytest.raises(Problems) as caught:
        read_document(text)
    return str(caught.value)


# Scalars


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "On", "NO", "y", "n", "=", "<<", "1_000", "1:30"])
def test_words_of_yaml_1_1_are_texts(word: str) -> None:
    assert value(f"key: {word}") == {"key": word}


@pytest.mark.parametrize("key", ["on", "yes", "1", "true", "null", "~"])
def test_a_key_is_the_text_that_was_written(key: str) -> None:
    assert value(f"{key}: 1") == {key: 1}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("1", 1),
        ("-12", -12),
        ("+12", 12),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("0b11", "0b11"),
        ("1.0", 1.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("1e999", math.inf),
        ("12345678901234567890123", 12345678901234567890123),
        ("2026-01-31", "2026-01-31"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'null'", "null"),
        ('"\\u00e9"', "é"),
        ("!!str 1", "1"),
    ],
)
def test_scalars_of_the_core_schema(written: str, meant: object) -> None:
    found = value(f"key: {written}")["key"]
    assert found == meant
    assert type(found) is type(meant)


def test_nan_is_a_number() -> None:
    assert math.isnan(value("key: .nan")["key"])


def test_a_number_that_is_too_long_to_be_one_is_a_text() -> None:
    assert value(f"key: {'1' * 4000}") == {"key": int("1" * 4000)}
    assert value(f"key: {'1' * 4001}") == {"key": "1" * 4001}


def test_a_block_text_is_a_text() -> None:
    assert value("key: |\n  1\n") == {"key": "1\n"}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null"])
def test_an_empty_file_has_no_value(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    "text", ["\ufeffversion: 1", "version: 1\r\n", "%YAML 1.2\n---\nversion: 1\n...\n", "{version: 1}"]
)
def test_other_ways_to_write_a_file(text: str) -> None:
    assert value(text) == {"version": 1}


# Lines


def test_each_part_knows_its_line() -> None:
    document = read_document("# shop\na:\n  b:\n    - 1\n    -\n      c: 2\nd: {e: [1,\n 2]}\n")
    lines = {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "b", 0): 4,
        ("a", "b", 1): 6,
        ("a", "b", 1, "c"): 6,
        ("d", "e", 0): 7,
        ("d", "e", 1): 8,
    }
    assert {path: document.line(path) for path in lines} == lines


def test_what_is_not_there_has_the_line_of_its_nearest_parent() -> None:
    document = read_document("a:\n  b: 1\n")
    assert document.line(("a", "b", "c", 3)) == 2
    assert document.line(("x",)) == 1
    assert read_document("").line(("x",)) == 1


def test_what_an_alias_repeats_has_the_line_of_its_anchor() -> None:
    assert read_document("a: &one\n  b: 1\nc: *one\n").line(("c", "b")) == 2


def test_a_misspelt_key_is_read_as_another() -> None:
    document = read_document("a: &one\n  bb:\n    c: 1\nd: *one\n")
    document.read_as(("a", "bb"), "b")
    assert document.value == {"a": {"b": {"c": 1}}, "d": {"bb": {"c": 1}}}
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "b", "c")) == 3


# Mistakes that do not keep the rest from being read


def test_every_duplicate_key_is_reported() -> None:
    document = read_document("a: 1\nb: {c: 1, c: 2}\na: 3\na: 4\n'b': 5\n")
    assert document.value == {"a": 1, "b": {"c": 1}}
    assert [str(problem) for problem in document.problems] == [
        "line 2: b.c: the key 'c' occurs twice, first on line 2; keep one of them",
        "line 3: a: the key 'a' occurs twice, first on line 1; keep one of them",
        "line 4: a: the key 'a' occurs twice, first on line 1; keep one of them",
        "line 5: b: the key 'b' occurs twice, first on line 2; keep one of them",
    ]


def test_every_tag_is_reported() -> None:
    document = read_document(
        "a: !!int '1'\nb: !mine {c: !!python/object:os.system x}\nd: !!set {e}\nf: !!seq []\n"
    )
    assert [str(problem) for problem in document.problems] == [
        "line 1: a: the tag !!int; leave the tag out",
        "line 2: b: the tag !mine; leave the tag out",
        "line 2: b.c: the tag !!python/object:os.system; leave the tag out",
        "line 3: d: the tag !!set; leave the tag out",
    ]


def test_a_key_that_is_no_text_is_reported() -> None:
    document = read_document("a: 1\n? [b, c]\n: 2\n? {d: e}\n: 3\n")
    assert document.value == {"a": 1}
    assert [str(problem) for problem in document.problems] == [
        "line 2: a key that is not a text; use a plain word as the key",
        "line 4: a key that is not a text; use a plain word as the key",
    ]


# What cannot be read


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: *", 2, "alphabetic or numeric character (while scanning an alias, from line 2)"),
        ("a: [1,\nb: 2\n", 3, "',' or ']' (while parsing a flow sequence, from line 1)"),
        ("a: 'x\n\n\nb: 1\n", 5, "unexpected end of stream (while scanning a quoted scalar, from line 1)"),
        ("a:\n\tb: 1\n", 2, "cannot start any token"),
        ("a: b: c", 1, "mapping values are not allowed in this context"),
        ("a: *nowhere", 1, "undefined alias"),
        ("a: 1\n---\nb: 1\n", 2, "another document"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    report = refused(text)
    assert report.startswith(f"line {line}: not YAML: ")
    assert reason in report
    assert report.endswith(
        '; indent by spaces, close what is open, and quote special characters, such as "*"'
    )


@pytest.mark.parametrize("character", ["\x00", "\x07", "\ud800", "\ufffe"])
def test_characters_that_yaml_does_not_allow_are_refused(character: str) -> None:
    assert refused(f"a: 1\nb: x{character}\n") == (
        f"line 2: the character U+{ord(character):04X}, which YAML does not allow; "
        "leave it out, or write it as an escape in double quotes"
    )


def test_a_file_has_at_most_a_mebibyte() -> None:
    text = "key: " + "x" * (MAX_BYTES - 5)
    assert value(text) == {"key": text[5:]}
    assert refused(text + "x") == "line 1: the file is larger than 1048576 bytes; make it smaller"
    assert refused("é" * (MAX_BYTES // 2) + "x").startswith("line 1: the file is larger")


def nested(levels: int, begin: str, end: str) -> str:
    return begin * levels + "1" + end * levels


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")])
def test_nesting_is_limited(begin: str, end: str) -> None:
    read_document(nested(MAX_DEPTH, begin, end))
    assert refused(nested(MAX_DEPTH + 1, begin, end)) == "line 1: nested more than 64 levels deep; flatten it"


@pytest.mark.parametrize("begin", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_the_deepest_nesting_that_fits_harms_nobody(begin: str) -> None:
    refused(begin * (MAX_BYTES // len(begin)))


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a [[*a, *a], *a]"])
def test_an_alias_that_contains_itself_is_refused(text: str) -> None:
    assert refused(text) == "line 1: nested more than 64 levels deep; flatten it"


def test_an_alias_repeats_what_it_names() -> None:
    assert value("a: &one {b: [1]}\nc: *one\nd: [*one, *one]\n") == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": [{"b": [1]}, {"b": [1]}],
    }


def test_aliases_that_multiply_each_other_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    assert refused("\n".join(lines)).endswith(
        f": more than {documents.MAX_VALUES} values, with those that aliases repeat; use fewer aliases"
    )


def test_the_fullest_file_without_aliases_is_read() -> None:
    text = "[" + "1," * (MAX_BYTES // 2 - 1) + "]"
    assert len(value(text)) == MAX_BYTES // 2 - 1


def test_what_is_refused_later_does_not_hide_what_was_met_before() -> None:
    assert refused("a: 1\na: 2\nb: &b [*b]\n") == (
        "line 2: a: the key 'a' occurs twice, first on line 1; keep one of them\n"
        "line 3: nested more than 64 levels deep; flatten it"
    )


def test_an_error_of_the_parser_without_a_place_is_on_line_1() -> None:
    assert str(documents._not_yaml(yaml.YAMLError("odd"))).startswith("line 1: not YAML: odd")
