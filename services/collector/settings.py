"""The settings file: the sources that may send events, and their write keys. docs/collector.md describes it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from segmentation.documents.document import Document, read_document
from segmentation.documents.problems import Problem, Problems
from segmentation.printable import printable

IpSetting = Literal["keep", "truncate", "drop"]
_Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/\s*]+)$")]


class SettingsError(ValueError):
    """The file cannot be read or is invalid; the message has the lines and the mistakes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(_Strict):
    """One sender of events, such as the shop's web pages, and its settings."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    """Names the source in metrics and logs, which never contain the write key."""
    write_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{8,128}$", repr=False)]
    enabled: bool = True
    allowed_origins: list[_Origin] = []
    """The origins of pages, such as https://shop.example; `*`: any. Requests without an Origin are always allowed."""
    events_per_second: Annotated[float, Field(gt=0, strict=False)] | None = None
    """The limit for each instance of the collector; None: no limit."""
    ip: IpSetting = "keep"

    def allows_origin(self, origin: str) -> bool:
        """Returns whether a page of this origin may send events."""
        return origin in self.allowed_origins or "*" in self.allowed_origins


class Settings(_Strict):
    """The whole file."""

    version: Literal[1]
    sources: Annotated[list[Source], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_and_keys_are_unique(self) -> "Settings":
        for field in ("name", "write_key"):
            values = [getattr(source, field) for source in self.sources]
            if len(set(values)) < len(values):
                raise ValueError(f"two sources have the same {field}")
        return self


def load_settings(path: Path) -> Settings:
    """Returns the settings in a YAML file.

    Raises:
      SettingsError: the file cannot be read or is invalid.
    """
    try:
        document = read_document(path.read_text(encoding="utf-8"))
        return _validated(document)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{printable(path)}: cannot be read ({type(error).__name__})") from None
    except Problems as problems:
        raise SettingsError(f"{printable(path)}: " + "; ".join(map(str, problems.problems))) from None


def _validated(document: Document) -> Settings:
    """Returns the settings in a document.

    Raises:
      Problems: the document is invalid. No problem contains a value, because it may be a write key.
    """
    if document.problems:
        raise Problems(document.problems)
    try:
        return Settings.model_validate(document.value)
    except ValidationError as error:
        raise Problems(
            [
                Problem(document.line(problem["loc"]), problem["loc"], problem["msg"])
                for problem in error.errors()
            ]
        ) from None
