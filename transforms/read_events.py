"""Reads messages: a bounded log, in order, or a subscription."""

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
    """Emits each line of a log once; one reader reads all files, in the order given.

    Blank lines are skipped, and files that end in .gz are unpacked. On a local runner the lines keep their
    order; a distributed runner keeps none.

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
    """Yields the lines of a file that are not blank, without their ends; a .gz file is unpacked.

    Raises:
      OSError, EOFError, zlib.error: the file cannot be read, or is no whole gzip file.
    """
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as raw:
        yield from log_lines(raw, packed=path.endswith(".gz"))


@dataclasses.dataclass
class ReadSubscription(beam.PTransform):
    """Emits each Pub/Sub message; at least once, in no order. The watermark follows publish time.

    Args:
      subscription: projects/P/subscriptions/S.
      before_pull: is called before every pull on the local runner, and nowhere on others.
    """

    subscription: str
    before_pull: Callable[[], None] | None = None

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[Message]:
        read: Any = beam.io.ReadFromPubSub(subscription=self.subscription, with_attributes=True)
        if self.before_pull is not None:
            read._source = _AskingSource(read._source, self.before_pull)
        return root | "Pull" >> read | "ToMessages" >> beam.Map(_to_message)


class _AskingSource:
    """A source that BundleBasedDirectRunner (Beam 2.77) cannot pull from unasked.

    That runner looks the subscription's name up before every pull, and pulls only when everything that it
    pulled before has gone through the whole graph.
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
