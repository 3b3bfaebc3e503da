"""The JSON Schema of a file of definitions. Editors use it to complete and check the file."""

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from segmentation.rules.schema.definitions import Definitions

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The latest dialect that the YAML extensions of common editors fully support."""
SCHEMA_ID = "urn:live-segments:definitions:1"


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a file of definitions."""
    schema = Definitions.model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Generator)
    definitions = schema.pop("$defs")
    return {"$schema": DIALECT, "$id": SCHEMA_ID, **schema, "definitions": definitions}


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # a title would repeat the key

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(
            schema["schema"]
        )  # the default is a placeholder: an absent key has no value

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        return {**super().dict_schema(schema), "additionalProperties": False}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {**super().model_schema(schema), "title": _title(schema["cls"])}


def _title(model: type[BaseModel]) -> str:
    words = re.findall("[A-Z][a-z]+", model.__name__)
    return " ".join(words).capitalize()
