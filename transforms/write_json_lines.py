"""Writes rows as JSON lines: in a bounded run to new files, in a live run appended to one file."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.io.textio import _TextSink

from stores.draft_folders import make_draft_folder, remove_abandoned_folders, remove_draft_folders
from stores.files import CLOUD
from stores.json_lines import append_lines
from stores.private_files import open_private


@dataclasses.dataclass
class WriteJsonLines(beam.PTransform):
    """Writes each row as one line; emits nothing. At least once: a retried bundle can repeat its lines.

    A bounded run writes files `PREFIX-RUN-00000-of-00001.jsonl`, which appear complete, after the last row; until then
    they are in a folder `beam-temp-PREFIX-RUN-…` beside them: see `draft_folders`. A live run
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
        return lines | "Write" >> _WritePrivateText(
            f"{self.prefix}-{self.run}", file_name_suffix=".jsonl", coder=beam.coders.BytesCoder()
        )


@contextlib.contextmanager
def draft_folders(prefix: str, run: str) -> Iterator[None]:
    """Removes what a bounded run on this machine leaves of its unfinished files, however this block ends.

    Before, it removes what earlier runs with the same prefix left that were killed.
    """
    if prefix.startswith(CLOUD):
        yield
        return
    folder, name = os.path.split(os.path.abspath(prefix))
    remove_abandoned_folders(folder, _draft_names(name, r"\d+"))
    try:
        yield
    finally:
        remove_draft_folders(folder, _draft_names(name, re.escape(run)))


def _draft_names(name: str, run: str) -> re.Pattern[str]:
    """Returns what Beam calls the folders of a prefix's unfinished files; their names end in a UUID."""
    return re.compile(rf"beam-temp-{re.escape(name)}-{run}-[0-9a-f]{{32}}")


class _WritePrivateText(beam.io.WriteToText):
    """Writes local files that only their owner can read, by way of folders that do not stay after a kill."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(prefix, **options)
        if not prefix.startswith(CLOUD):
            self._sink.__class__ = _PrivateTextSink  # WriteToText takes no sink


class _PrivateTextSink(_TextSink):
    def initialize_write(self) -> str:
        folder: str = self._create_temp_dir(self.file_path_prefix.get())
        make_draft_folder(folder)
        return folder

    def open(self, temp_path: str) -> Any:
        os.close(
            open_private(temp_path, os.O_WRONLY)
        )  # the file keeps this mode when it is opened and renamed
        return super().open(temp_path)


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
