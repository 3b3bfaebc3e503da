"""Reads messages from a bounded log or from a subscription."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.pubsub import PubsubMessage

from segmentation.messages import Message
from stores.logs import is_packed, log_head, log_lines


@dataclasses.dataclass
class ReadLog(beam.PTransform):
    """Emits each line of a log once. One reader reads all files, in the given order.

    Blank lines and a byte order mark at the start of a file are skipped, and gzip is decompressed, whatever the file's
    name. A local runner keeps the order of the lines; a distributed runner does not.

    Args:
      paths: local paths or gs:// addresses.
    """

    paths: tuple[str, ...]

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[Message]:
        return (
            root
            | "Paths" >> beam.Create([self.paths], reshuffle=False)
            | "ReadLines" >> beam.ParDo(_ReadLinesFn()).with_output_types(Message)
        )


class _ReadLinesFn(beam.DoFn):
    def process(self, paths: tuple[str, ...]) -> Iterator[Message]:
        for path in paths:
            for line in read_lines(path):
                yield Message(line)


def read_lines(path: str) -> Iterator[bytes]:
    """Yields the lines of a file as `log_lines` does.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is not a complete gzip file.
    """
    with _opened(path) as file:
        yield from log_lines(file)


def read_head(path: str, size_bytes: int) -> bytes:
    """Returns the first bytes of a file as `log_head` does.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is not a complete gzip file.
    """
    with _opened(path) as file:
        return log_head(file, size_bytes)


def is_packed_file(path: str) -> bool:
    """Returns whether a file begins as gzip does.

    Raises:
      OSError: the file cannot be read.
    """
    with _opened(path) as file:
        return is_packed(file)


def _opened(path: str) -> Any:
    # Beam would go by the file's name
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def to_message(message: PubsubMessage) -> Message:
    """Converts a message of Beam's source."""
    published_at = message.publish_time
    return Message(message.data, int(published_at.timestamp() * 1000), dict(message.attributes or {}))


@dataclasses.dataclass
class ReadSubscription(beam.PTransform):
    """Emits each Pub/Sub message, at least once and in any order. The watermark follows publish time.

    Args:
      subscription: projects/P/subscriptions/S.
    """

    subscription: str
    to_message = staticmethod(to_message)  # a local run replaces it too

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[Message]:
        return root | "Pull" >> self.pull() | "ToMessages" >> beam.Map(self.to_message)

    def pull(self) -> Any:
        """Returns Beam's own step, which a local run replaces."""
        return beam.io.ReadFromPubSub(subscription=self.subscription, with_attributes=True)
