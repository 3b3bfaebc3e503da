"""The settings file: who may send events, named by write keys. docs/collector.md describes it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from segmentation.documents.document import Document, read_document
from segmentation.documents.problems import Problem, Problems

IpSetting = Literal["keep", "truncate", "drop"]
_Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/\s*]+)$")]


class SettingsError(ValueError):
    """The file cannot be read, or breaks its rules; the message says where and how."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(_Strict):
    """One tracker of the shop, such as its web pages, and what it may do."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    """Stands in metrics and logs, where the write key never does."""
    write_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{8,128}$", repr=False)]
    enabled: bool = True
    allowed_origins: list[_Origin] = []
    """Of pages, such as https://shop.example; `*` is any. Requests without an Origin come from no page."""
    events_per_second: Annotated[float, Field(gt=0, strict=False)] | None = None
    """For each instance of the collector; None: no limit."""
    ip: IpSetting = "keep"

    def allows_origin(self, origin: str) -> bool:
        """Tells whether a page of this origin may send events."""
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
      SettingsError: it cannot be read, or breaks a rule.
    """
    try:
        document = read_document(path.read_text(encoding="utf-8"))
        return _validated(document)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({type(error).__name__})") from None
    except Problems as problems:
        raise SettingsError(f"{path}: " + "; ".join(map(str, problems.problems))) from None


def _validated(document: Document) -> Settings:
    """Returns the settings in a document.

    Raises:
      Problems: it breaks a rule. No problem shows a value, which may be a write key.
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
