"""The keyword `uniqueItems`, in a time that is linear in the list, whatever the list holds."""

import json
from typing import Any


class UniqueItems:
    """Replaces the validator's own keyword, which compares every two long integers and fails on deeply nested lists."""

    def __init__(self, parent_schema: dict[str, Any], value: Any, schema_path: list[str | int]) -> None:
        self._is_on = value is True

    def validate(self, instance: Any) -> None:
        """Raises if two items are equal.

        Raises:
          ValueError: two items are equal.
        """
        if self._is_on and isinstance(instance, list) and len(set(map(_identity, instance))) < len(instance):
            raise ValueError("has equal items")


def _identity(item: Any) -> str:
    """Returns a text that two items share if JSON Schema calls them equal, such as 1 and 1.0.

    Texts have hashes that a sender cannot predict; those of numbers and tuples of them are the same everywhere.
    """
    text = json.dumps(item, sort_keys=True)
    if "." in text or "e" in text:
        text = json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
    return text


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number
