"""Writes the JSON Schema of the segment language, with which editors complete `definitions/segments.yaml`."""

import json
from pathlib import Path

from segmentation.rules.json_schema import json_schema

PUBLISHED = Path(__file__).parents[1] / "definitions" / "segments.schema.json"


def schema_text() -> str:
    """Returns the JSON Schema as published in the repository."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the JSON Schema into the repository."""
    PUBLISHED.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
