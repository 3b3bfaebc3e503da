"""What tests of SDKs share: where the SDKs are, and what of their events must be in Pub/Sub."""

import json
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from local.pubsub_emulator import PubSubEmulatorError, find_java
from segmentation.events import parse_event
from stores.tracking_plan import read_tracking_plan
from tests.integration.collector.collector_process import CollectorProcess
from tests.waiting import until

FOLDER = Path(__file__).parents[2] / "sdks"
"""Holds package.json, its lock, and the programs that use the SDKs."""
CALLS = {"identify", "track", "page", "screen", "group", "alias"}


def missing(what: str) -> None:
    """Ends a test that lacks a program: on a machine of one's own it is skipped, where CI is set it fails."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def program(name: str, how_to_get_it: str) -> str:
    """Returns where a program is; ends the test where it is missing."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not on the PATH: {how_to_get_it}")
    assert found is not None
    return found


def installed_packages() -> Path:
    """Returns the folder of the JavaScript SDKs, installed from their lock if they are not yet."""
    npm = program("npm", "it comes with Node.js (Debian: the packages nodejs and npm)")
    lock, modules = FOLDER / "package-lock.json", FOLDER / "node_modules"
    marker = modules / ".installed"
    if not marker.exists() or marker.read_bytes() != lock.read_bytes():
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            missing(f"npm ci failed: {done.stderr[-1000:]}")
        marker.write_bytes(lock.read_bytes())
    return modules


def java() -> str:
    """Returns where java is; ends the test where it is missing."""
    try:
        return find_java()
    except PubSubEmulatorError as error:
        missing(str(error))
        raise


def installed_jars() -> Path:
    """Returns the folder of the jars of SDKs for the JVM, fetched as pom.xml says if they are not there yet."""
    mvn = program("mvn", "install Maven (Debian: the package maven)")
    pom, jars = FOLDER / "pom.xml", FOLDER / "target" / "dependency"
    marker = FOLDER / "target" / ".installed"
    if not marker.exists() or marker.read_bytes() != pom.read_bytes():
        shutil.rmtree(FOLDER / "target", ignore_errors=True)
        command = [mvn, "-q", "-B", "dependency:copy-dependencies"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
        if done.returncode:
            missing(f"{' '.join(command)} failed: {done.stdout[-1000:]}")
        marker.write_bytes(pom.read_bytes())
    return jars


def events_of(collector: CollectorProcess, user: str, at_least: Collection[str]) -> dict[str, dict[str, Any]]:
    """Returns a user's events in Pub/Sub by their type, when all of these types are there.

    Each counts once: a retry may have published it again under the same `messageId`. Each is one that the pipeline
    takes, and keeps to our tracking plan.
    """
    plan = read_tracking_plan("definitions/tracking_plan").plan

    def found() -> dict[str, dict[str, Any]]:
        published = {message["messageId"]: message for message in collector.published(user)}
        return published if {message["type"] for message in published.values()} >= set(at_least) else {}

    events = list(until(found, f"{sorted(at_least)} of {user}").values())
    for message in events:
        event = parse_event(json.dumps(message).encode())
        assert plan.violations(event.name, message) == ()
    by_type = {message["type"]: message for message in events}
    assert len(by_type) == len(events), "an event came twice, under two messageIds"
    return by_type
