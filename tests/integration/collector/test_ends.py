"""How a collector starts and ends."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.collector.collector_process import ROOT, SETTINGS, event, new_user
from tests.waiting import HANGS_AFTER_SECONDS, until

TOPICS = ("--events_topic=projects/p/topics/a", "--dead_letter_topic=projects/p/topics/b")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_begun_is_answered_and_published_before_it_ends(
    start_collector, number: signal.Signals
) -> None:
    collector = start_collector()
    user = new_user()
    statuses: list[int] = []

    def send() -> None:
        with contextlib.suppress(httpx.TransportError):  # it came too late to be begun
            statuses.append(collector.post("/v1/batch", {"batch": [event(user)] * 500}).status_code)

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    until(lambda: statuses, "first answer")
    collector.signal(number)
    for sender in senders:
        sender.join()
    assert collector.wait() == 0
    assert len(collector.published(user)) >= 500 * statuses.count(200)
    assert statuses.count(200) >= 1
    assert set(statuses) <= {200}
    assert "ended; all accepted events are published" in collector.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_soon_as_it_says_that_it_listens(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "services.collector", f"--settings={SETTINGS}", "--port=0", *TOPICS]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "listening" in process.stderr.readline()
            process.send_signal(number)
            assert process.wait(HANGS_AFTER_SECONDS) == 0
            said = process.stderr.read()
            assert "ended; all accepted events are published" in said
            assert "Traceback" not in said
        finally:
            process.kill()


def ended(*flags: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "services.collector", *flags]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_file_of_ignored_ids_that_cannot_be_read_ends_it_at_once(tmp_path: Path) -> None:
    status, said = ended(
        f"--settings={SETTINGS}", f"--ignored_ids={tmp_path}", *TOPICS, PUBSUB_EMULATOR_HOST="127.0.0.1:1"
    )
    assert (status, said) == (2, f"--ignored_ids: {tmp_path} cannot be read: Is a directory\n")


def test_wrong_settings_end_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "collector.yaml"
    path.write_text("version: 1\nsources: [{name: web}]\n", encoding="utf-8")
    status, said = ended(f"--settings={path}", *TOPICS, PUBSUB_EMULATOR_HOST="127.0.0.1:1")
    assert (status, said) == (2, f"{path}: line 2: sources[0].write_key: Field required\n")


def test_a_port_that_is_taken_ends_it_at_once(start_collector) -> None:
    port = start_collector().port
    status, said = ended(
        f"--settings={SETTINGS}", f"--port={port}", *TOPICS, PUBSUB_EMULATOR_HOST="127.0.0.1:1"
    )
    assert status == 2
    assert f"--port: cannot listen on 127.0.0.1:{port}" in said


def test_refused_credentials_are_answered_with_503(start_collector, tmp_path: Path, monkeypatch) -> None:
    """The way to the real Pub/Sub, as far as it goes without a network."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": "collector@project-x.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:1/token",
        "private_key": key.decode(),
    }
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps(account), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")  # without a network, also where there is one
    monkeypatch.setenv("no_grpc_proxy", "127.0.0.1")
    collector = start_collector("--publish_seconds=1", emulator="none")
    assert collector.client.get("/healthz").status_code == 200
    assert collector.client.get("/readyz").status_code == 503
    answer = collector.post("/v1/track", event(new_user()))
    assert (answer.status_code, answer.json()["code"]) == (503, "pubsub_unavailable")
    assert "Traceback" not in collector.log


@pytest.mark.long
def test_without_credentials_it_ends_at_once(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere.json")
    status, said = ended(f"--settings={SETTINGS}", *TOPICS, GOOGLE_APPLICATION_CREDENTIALS=nowhere)
    assert status == 2
    assert "nowhere.json" in said
