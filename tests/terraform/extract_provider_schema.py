"""Extracts what terraform/ uses of the Terraform provider's schema, from the provider's typed packages.

To run again when terraform/ takes up another type of resource, or the provider another version:

    pip download --no-deps cdktf-cdktf-provider-google==16.12.1 cdktf-cdktf-provider-google-beta==16.12.1
    python tests/terraform/extract_provider_schema.py cdktf_cdktf_provider_google-*.whl \\
        cdktf_cdktf_provider_google_beta-*.whl > tests/terraform/google_provider_schema.json

Output: {"provider": {name: version}, "resources": {type: {attribute: {"kind", "required", "block"}}}}. Data sources
are named data.TYPE. Attributes that are only read have "computed" instead of "required".
"""

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

TERRAFORM = Path(__file__).parents[2] / "terraform"
META = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"}
_INHERITED = {"tf_resource_type"}
_KINDS = {"cdktf.StringMap": "map", "cdktf.NumberMap": "map", "cdktf.BooleanMap": "map"}


def used_types() -> set[str]:
    """Returns the types that terraform/ names, data sources as data.TYPE."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(TERRAFORM.glob("*.tf")))
    found = re.findall(r'^(resource|data) "(\w+)"', text, re.MULTILINE)
    return {("data." if block == "data" else "") + name for block, name in found}


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match.group(1).lower(), name).lstrip("_")


def _struct(kind: dict[str, Any]) -> str | None:
    """Returns the provider's own type that stands for a block, if there is one."""
    if "fqn" in kind:
        return kind["fqn"] if kind["fqn"].startswith("@cdktf/provider") else None
    if "collection" in kind:
        return _struct(kind["collection"]["elementtype"])
    members = [_struct(member) for member in kind.get("union", {}).get("types", [])]
    return next((member for member in members if member is not None), None)


def _kind(kind: dict[str, Any]) -> str:
    """Returns string, number, boolean, list or map."""
    if "primitive" in kind:
        return str(kind["primitive"])
    if "collection" in kind:
        return "map" if kind["collection"]["kind"] == "map" else "list"
    if "fqn" in kind:
        name = kind["fqn"]
        return _KINDS.get(name, "list" if name.startswith("@cdktf/provider") or "List" in name else "string")
    kinds = [_kind(member) for member in kind["union"]["types"] if member.get("fqn") != "cdktf.IResolvable"]
    return kinds[0]


def _fields(types: dict[str, Any], fqn: str) -> dict[str, Any]:
    fields = {}
    for member in types[fqn].get("properties", []):
        field: dict[str, Any] = {"kind": _kind(member["type"]), "required": not member.get("optional", False)}
        struct = _struct(member["type"])
        if struct is not None:
            field["block"] = _fields(types, struct)
        fields[_snake(member["name"])] = field
    return fields


def _computed(types: dict[str, Any], fqn: str, given: set[str]) -> dict[str, Any]:
    """Returns what a resource only tells: properties without a setter that are no argument and no argument's input."""
    fields = {}
    for member in types[fqn].get("properties", []):
        name = _snake(member["name"])
        if (
            name in given
            or name.removesuffix("_input") in given
            or name in _INHERITED
            or member.get("static")
        ):
            continue
        fields[name] = {"kind": _kind(member["type"]), "computed": True}
    return fields


def extract(wheel: str, wanted: set[str]) -> tuple[str, dict[str, Any]]:
    """Returns the provider's version, and the schema of those of the wanted types that it has."""
    with zipfile.ZipFile(wheel) as archive:
        package = archive.read(next(name for name in archive.namelist() if name.endswith(".tgz")))
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        description = archive.extractfile("package/.jsii")
        assert description is not None
        types = json.load(description)["types"]

    resources = {}
    version = ""
    for fqn, kind in types.items():
        if kind.get("base") not in ("cdktf.TerraformResource", "cdktf.TerraformDataSource"):
            continue
        summary = kind.get("docs", {}).get("summary", "")
        match = re.search(r"/(\d+\.\d+\.\d+)/docs/(resources|data-sources)/(\S+) (\w+)", summary)
        if match is None or fqn + "Config" not in types:
            continue
        version = match.group(1)
        name = ("data." if match.group(2) == "data-sources" else "") + match.group(4).removeprefix("data_")
        if name in wanted:
            fields = _fields(types, fqn + "Config")
            arguments = {name: field for name, field in fields.items() if name not in META}
            resources[name] = arguments | _computed(types, fqn, set(fields))
    return version, resources


def main(google: str, google_beta: str) -> None:
    """Writes the schema: of the beta provider what the other lacks."""
    wanted = used_types()
    version, resources = extract(google, wanted)
    beta_version, beta_resources = extract(google_beta, wanted - set(resources))
    missing = wanted - set(resources) - set(beta_resources)
    if missing:
        raise SystemExit(f"neither provider has {', '.join(sorted(missing))}")
    resources |= beta_resources
    lines = [
        f"    {json.dumps(name)}: {json.dumps(resources[name], sort_keys=True)}" for name in sorted(resources)
    ]
    versions = json.dumps({"google": version, "google-beta": beta_version})
    print(f'{{\n  "provider": {versions},\n  "resources": {{\n' + ",\n".join(lines) + "\n  }\n}")


if __name__ == "__main__":
    main(*sys.argv[1:])
