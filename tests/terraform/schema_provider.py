"""Stands in for the Google providers, so that Terraform itself reads terraform/ without a network.

It is a Terraform provider that knows nothing but the schema of tests/terraform/google_provider_schema.json: enough
for `terraform validate`, and for `terraform test` with mocked providers. Terraform is led to it by the variable that
provider developers use, TF_REATTACH_PROVIDERS. Messages of Terraform's plugin protocol 5 are written here by hand,
because only one of them says anything.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc

_KINDS = {"string": "string", "number": "number", "boolean": "bool", "map": ["map", "string"]}
_LISTED = 2
"""NestingMode.LIST."""
_PROVIDER = {
    "project": {"kind": "string"},
    "region": {"kind": "string"},
    "default_labels": {"kind": "map"},
}
_TOLD_IF_NOT_GIVEN = {"id", "project"}


class SchemaProvider:
    """Serves the schema for as long as a `with` block; `environment` leads Terraform there."""

    def __init__(self, resources: dict[str, Any]) -> None:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        self._server.add_generic_rpc_handlers((_Handlers(_schemas(resources)),))
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(grace=None).wait()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for Terraform."""
        running = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{self._port}"},
        }
        names = ("google", "google-beta")
        led_to = {f"registry.terraform.io/hashicorp/{name}": running for name in names}
        return {"TF_REATTACH_PROVIDERS": json.dumps(led_to)}


class _Handlers(grpc.GenericRpcHandler):
    """Answers GetSchema with the schema, and whatever else a provider is asked with an empty message."""

    def __init__(self, schemas: bytes) -> None:
        self._schemas = schemas

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        service, method = details.method.lstrip("/").split("/")
        if service != "tfplugin5.Provider":
            return None
        answer = self._schemas if method == "GetSchema" else b""
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)


def _schemas(resources: dict[str, Any]) -> bytes:
    """Returns a GetProviderSchema.Response."""
    parts = [_field(1, _schema(_PROVIDER))]
    for name, fields in resources.items():
        entry = _field(1, name.removeprefix("data.").encode()) + _field(2, _schema(fields))
        parts.append(_field(3 if name.startswith("data.") else 2, entry))
    return b"".join(parts)


def _schema(fields: dict[str, Any]) -> bytes:
    return _field(2, _block(fields, is_top=True))


def _block(fields: dict[str, Any], *, is_top: bool = False) -> bytes:
    parts = []
    for name, field in fields.items():
        if "block" in field and name != "timeouts":
            nested = _field(1, name.encode()) + _field(2, _block(field["block"])) + _number(3, _LISTED)
            parts.append(_field(3, nested + _number(4, int(field["required"]))))
        elif "block" not in field:
            parts.append(_field(2, _attribute(name, field, is_top and name in _TOLD_IF_NOT_GIVEN)))
    return b"".join(parts)


def _attribute(name: str, field: dict[str, Any], is_told: bool) -> bytes:
    is_computed = field.get("computed", False)
    is_required = field.get("required", False) and not is_told
    kind = _KINDS.get(field["kind"], "dynamic" if is_computed else ["list", "string"])
    given = _number(4 if is_required else 5, int(not is_computed))
    return (
        _field(1, name.encode())
        + _field(2, json.dumps(kind).encode())
        + given
        + _number(6, int(is_computed or is_told))
    )


def _field(number: int, value: bytes) -> bytes:
    return bytes(_varint(number << 3 | 2)) + bytes(_varint(len(value))) + value


def _number(number: int, value: int) -> bytes:
    return bytes(_varint(number << 3)) + bytes(_varint(value))


def _varint(value: int) -> Iterator[int]:
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
