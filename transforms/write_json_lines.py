"""Writes rows as JSON lines: in a bounded run to new files, in a live run appended to one file."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson

from stores.json_lines import append_lines


@dataclasses.dataclass
class WriteJsonLines(beam.PTransform):
    """Writes each row as one line; emits nothing. At least once: a retried bundle can repeat its lines.

    A bounded run writes files `PREFIX-RUN-00000-of-00001.jsonl`, which appear complete, after the last row. A live run
    appends lines to the local file `PREFIX.jsonl` when a bundle finishes: all of the bundle's, or none if that fails.

    Args:
      prefix: the start of the files' names.
      run: a name that distinguishes the files of bounded runs; None in a live run.
    """

    prefix: str
    run: str | None

    def expand(self, rows: beam.PCollection[dict[str, Any]]) -> Any:
        lines = rows | "ToJson" >> beam.Map(orjson.dumps).with_output_types(bytes)
        if self.run is None:
            return lines | "Append" >> beam.ParDo(_AppendFn(f"{self.prefix}.jsonl"))
        return lines | "Write" >> beam.io.WriteToText(
            f"{self.prefix}-{self.run}", file_name_suffix=".jsonl", coder=beam.coders.BytesCoder()
        )


class _AppendFn(beam.DoFn):
    def __init__(self, path: str) -> None:
        self._path = path

    def start_bundle(self) -> None:
        self._lines: list[bytes] = []

    def process(self, line: bytes) -> Iterator[None]:
        self._lines.append(line)
        yield from ()

    def finish_bundle(self) -> None:
        if self._lines:
            append_lines(self._path, self._lines)
