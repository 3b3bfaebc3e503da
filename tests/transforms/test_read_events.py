"""Lines of logs become messages, in order, on the local runner."""

import gzip
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.util import assert_that, equal_to
from google.cloud.exceptions import RequestRangeNotSatisfiable
from google.cloud.storage.fileio import BlobReader

from segmentation.messages import Message
from transforms.read_events import ReadLog, is_packed_file, read_head, read_lines, to_message

LOCAL_RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def lines_in(path: Path, content: bytes) -> list[bytes]:
    path.write_bytes(content)
    return list(read_lines(str(path)))


# Lines


@pytest.mark.parametrize(
    "content", [b"one\ntwo\n", b"one\ntwo", b"one\r\ntwo\r\n", b"one\r\ntwo", b"one\ntwo\r"]
)
def test_a_line_comes_without_its_end(log: Path, content: bytes) -> None:
    assert lines_in(log, content) == [b"one", b"two"]


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"  \t \n", b" \r\n", b"\x0b\x0c\n"])
def test_blank_lines_are_skipped(log: Path, blank: bytes) -> None:
    assert lines_in(log, blank + b"one\n" + 2 * blank + b"two\n" + blank) == [b"one", b"two"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b" "])
def test_a_file_without_lines_has_none(log: Path, content: bytes) -> None:
    assert lines_in(log, content) == []


@pytest.mark.parametrize(
    "line", [b" {} ", b"a\rb", b"a\r", b"\xff\x00\xfe", b"{}\xef\xbb\xbf", "a\u2028b\x85".encode()]
)
def test_the_rest_of_a_line_stays_as_it_was(log: Path, line: bytes) -> None:
    assert lines_in(log, line + b"\r\n") == [line]


def test_a_line_may_be_long(log: Path) -> None:
    long = b"x" * 3_000_000
    assert lines_in(log, long + b"\n" + long) == [long, long]


# Packed files


def test_a_gz_file_is_unpacked(tmp_path: Path) -> None:
    assert lines_in(tmp_path / "log.jsonl.gz", gzip.compress(b"one\r\n\ntwo")) == [b"one", b"two"]


def test_a_gz_file_of_several_members_is_unpacked_to_its_end(tmp_path: Path) -> None:
    content = gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n")
    assert lines_in(tmp_path / "log.gz", content) == [b"one", b"two", b"three"]


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl", "log", "log.json.txt"])
def test_a_file_is_unpacked_if_it_begins_as_gzip_whatever_its_name(tmp_path: Path, name: str) -> None:
    assert lines_in(tmp_path / name, gzip.compress(b"one\n")) == [b"one"]
    assert lines_in(tmp_path / name, b"one\n") == [b"one"]
    assert lines_in(tmp_path / name, b"\x1f\n\x8b") == [b"\x1f", b"\x8b"]


def test_zeros_after_a_gz_file_are_padding_and_anything_else_is_an_error(tmp_path: Path) -> None:
    packed = gzip.compress(b"one\n")
    assert lines_in(tmp_path / "log.gz", packed + bytes(300)) == [b"one"]
    with pytest.raises(gzip.BadGzipFile):
        lines_in(tmp_path / "log.gz", packed + b"trailing garbage")


class Blob:
    """Stands in for a file on gs://, for the class that reads one."""

    chunk_size = None

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def reload(self, **kwargs: Any) -> None:
        """Does nothing: the size is known."""

    def download_as_bytes(self, start: int, end: int, **kwargs: Any) -> bytes:
        if start >= self.size:
            raise RequestRangeNotSatisfiable("after the end")
        return self._content[start : end + 1]


@pytest.mark.parametrize(
    "content",
    [b"one\ntwo\n", gzip.compress(b"one\ntw") + gzip.compress(b"o\n")],
    ids=["plain", "gzip of two members"],
)
def test_a_file_on_gs_is_unpacked_too(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(FileSystems, "open", lambda path, **_: BlobReader(Blob(content)))
    assert list(read_lines("gs://bucket/log")) == [b"one", b"two"]
    assert read_head("gs://bucket/log", 5) == b"one\nt"
    assert is_packed_file("gs://bucket/log") == (content[:1] == b"\x1f")


def test_a_file_on_gs_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileSystems, "open", lambda path, **_: BlobReader(Blob(b"")))
    assert list(read_lines("gs://bucket/log")) == []


# Byte order marks


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "rest, lines", [(b"one\r\ntwo", [b"one", b"two"]), (b"\r\none", [b"one"]), (b"", [])]
)
def test_a_byte_order_mark_at_the_start_of_a_file_is_skipped(
    log: Path, rest: bytes, lines: list[bytes], pack: Callable[[bytes], bytes]
) -> None:
    assert lines_in(log, pack(b"\xef\xbb\xbf" + rest)) == lines


def test_each_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_bytes(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo")
    lines = [b"one", b"\xef\xbb\xbftwo"]
    assert [message.payload for message in read_log(*paths)] == 2 * lines


def test_the_head_of_a_file_is_unpacked_and_not_longer_than_asked_for(log: Path) -> None:
    for content in (b"one\ntwo", gzip.compress(b"one\ntwo")):
        log.write_bytes(content)
        assert read_head(str(log), 5) == b"one\nt"
        assert read_head(str(log), 500) == b"one\ntwo"


def test_a_gz_file_that_ends_too_early_is_an_error_and_no_short_log(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b"%d\n" % number for number in range(100_000)))
    with pytest.raises(EOFError):
        lines_in(tmp_path / "log.gz", packed[: len(packed) // 2])


def test_a_damaged_gz_file_is_an_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"one\n"))
    packed[12] ^= 0xFF
    with pytest.raises((zlib.error, gzip.BadGzipFile)):
        lines_in(tmp_path / "log.gz", bytes(packed))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        list(read_lines(str(tmp_path / "nowhere.jsonl")))


# The step

seen: list[Message] = []


def note(message: Message) -> Message:
    seen.append(message)
    return message


def read_log(*paths: Path, runner: str = LOCAL_RUNNER) -> list[Message]:
    """Returns what the step emits, in the order in which the next step gets it."""
    seen.clear()
    with BeamPipeline(runner=runner) as pipeline:
        _ = pipeline | ReadLog(tuple(map(str, paths))) | beam.Map(note).with_output_types(Message)
    return list(seen)


def test_files_come_in_the_order_given_and_lines_in_that_of_their_file(tmp_path: Path) -> None:
    paths = [tmp_path / "b.jsonl", tmp_path / "c.jsonl.gz", tmp_path / "a.jsonl"]
    lines = [[b"%d-%d" % (file, line) for line in range(500)] for file in range(3)]
    paths[0].write_bytes(b"\n".join(lines[0]))
    paths[1].write_bytes(gzip.compress(b"\r\n".join(lines[1])))
    paths[2].write_bytes(b"\n\n".join(lines[2]))
    assert [message.payload for message in read_log(*paths)] == lines[0] + lines[1] + lines[2]


def test_a_file_that_is_named_twice_is_read_twice(log: Path) -> None:
    log.write_bytes(b"one\n")
    assert [message.payload for message in read_log(log, log)] == [b"one", b"one"]


def test_a_line_of_a_log_has_no_publish_time_and_no_attributes(log: Path) -> None:
    log.write_bytes(b"one\n")
    assert read_log(log) == [Message(b"one", publish_time_ms=None, attributes={})]


def test_every_line_comes_through_a_runner_that_encodes_it(log: Path) -> None:
    lines = [b"{}", b"\xff\x00", b" x "]
    log.write_bytes(b"\n".join(lines))
    with BeamPipeline(runner="FnApiRunner") as pipeline:
        messages = pipeline | ReadLog((str(log),))
        assert messages.element_type is Message
        assert_that(messages, equal_to([Message(line) for line in lines]))


def test_a_file_that_cannot_be_read_fails_the_run(log: Path, tmp_path: Path) -> None:
    log.write_bytes(b"one\n")
    with pytest.raises(Exception, match="nowhere"):
        read_log(log, tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("attributes, kept", [({"a": "b"}, {"a": "b"}), ({}, {}), (None, {})])
def test_a_message_of_pubsub_keeps_its_bytes_attributes_and_publish_time(
    attributes: dict[str, str] | None, kept: dict[str, str]
) -> None:
    published_at = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
    pulled = PubsubMessage(b"{}", attributes, publish_time=published_at)
    assert to_message(pulled) == Message(b"{}", 1_772_452_800_250, kept)
