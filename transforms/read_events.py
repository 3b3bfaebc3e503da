"""Reads messages from a bounded log or from a subscription."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.pubsub import PubsubMessage

from segmentation.messages import Message
from stores.logs import log_lines


@dataclasses.dataclass
class ReadLog(beam.PTransform):
    """Emits each line of a log once. One reader reads all files, in the given order.

    Blank lines are skipped, and .gz files are decompressed. A local runner keeps the order of the lines; a distributed
    runner does not.

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
    """Yields the lines of a file without their line ends; skips blank lines, and decompresses a .gz file.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is not a complete gzip file.
    """
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as raw:
        yield from log_lines(raw, packed=path.endswith(".gz"))


@dataclasses.dataclass
class ReadSubscription(beam.PTransform):
    """Emits each Pub/Sub message, at least once and in any order. The watermark follows publish time.

    Args:
      subscription: projects/P/subscriptions/S.
      before_pull: called before every pull on the local runner; never called on other runners.
    """

    subscription: str
    before_pull: Callable[[], None] | None = None

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[Message]:
        read: Any = beam.io.ReadFromPubSub(subscription=self.subscription, with_attributes=True)
        if self.before_pull is not None:
            read._source = _AskingSource(read._source, self.before_pull)
        return root | "Pull" >> read | "ToMessages" >> beam.Map(_to_message)


class _AskingSource:
    """Calls a function before every pull of BundleBasedDirectRunner (Beam 2.77).

    That runner reads the subscription's name before every pull, and pulls only when all earlier messages have gone
    through the whole graph.
    """

    def __init__(self, source: Any, before_pull: Callable[[], None]) -> None:
        self._source = source
        self._before_pull = before_pull

    @property
    def subscription_name(self) -> str:
        self._before_pull()
        return self._source.subscription_name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _to_message(message: PubsubMessage) -> Message:
    published_at = message.publish_time
    return Message(message.data, int(published_at.timestamp() * 1000), dict(message.attributes or {}))
