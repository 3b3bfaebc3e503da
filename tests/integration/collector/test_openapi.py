"""The OpenAPI document is right, and so is what the collector answers to requests made up from it (Schemathesis)."""

from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate

from services.collector.app import KINDS, OPENAPI
from tests.integration.collector.collector_process import SERVER, CollectorProcess

SHORT, LONG = 5, 200


schema = schemathesis.openapi.from_path(OPENAPI)


def check(case: Any, collector: CollectorProcess) -> None:
    """Sends a request as it was made up, with a right write key, and without one."""
    case.call_and_validate(base_url=collector.url, auth=(SERVER, ""))
    case.call_and_validate(base_url=collector.url)


@schema.parametrize()
@settings(max_examples=SHORT, deadline=None, suppress_health_check=list(HealthCheck))
def test_requests_made_up_from_the_document_get_answers_that_it_tells_of(
    case: Any, collector: CollectorProcess
) -> None:
    check(case, collector)


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=LONG, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_requests_made_up_from_the_document_get_answers_that_it_tells_of(
    case: Any, collector: CollectorProcess
) -> None:
    check(case, collector)


def test_the_document_is_valid_and_names_every_path(collector: CollectorProcess) -> None:
    document = collector.client.get("/openapi.json").json()
    validate(document)
    others = {
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
