"""The OpenAPI document is right, and so is what the collector answers to requests made up from it (Schemathesis)."""

import re
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate

from services.collector.app import KINDS, OPENAPI
from tests.integration.collector.collector_process import SERVER, CollectorProcess
from tests.waiting import HANGS_AFTER_SECONDS

SHORT, LONG = 5, 200


schema = schemathesis.openapi.from_path(OPENAPI)


def requests_get_answers_that_the_document_tells_of(operation: Any, examples: int) -> Any:
    """Returns a test of one operation, with requests made up from the document."""

    @schema.include(path=operation.path, method=operation.method.upper()).parametrize()
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def test(case: Any, collector: CollectorProcess) -> None:
        """Sends a request as it was made up, with a right write key, and without one."""
        case.call_and_validate(base_url=collector.url, auth=(SERVER, ""), timeout=HANGS_AFTER_SECONDS)
        case.call_and_validate(base_url=collector.url, timeout=HANGS_AFTER_SECONDS)

    return test


# A test of many operations would give all of them one name, and workers run a name once.
operations: list[Any] = list(schema.get_all_operations())
for result in operations:
    name = re.sub(r"\W+", "_", result.ok().label).strip("_").lower()
    short, long = (
        requests_get_answers_that_the_document_tells_of(result.ok(), examples) for examples in (SHORT, LONG)
    )
    globals().update({f"test_{name}": short, f"test_{name}_many_times": pytest.mark.long(long)})


def test_the_document_is_valid_and_names_every_path(collector: CollectorProcess) -> None:
    document = collector.client.get("/openapi.json").json()
    validate(document)
    others = {
        "/v1/m",
        "/v1/projects/{write_key}/settings",
        "/sourceConfig/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
    }
    assert set(document["paths"]) == set(KINDS) | others


def test_it_is_the_document_that_is_served(collector: CollectorProcess) -> None:
    assert collector.client.get("/openapi.json").json() == yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
