"""The errors if the emulator is missing or fails. The emulator itself runs in tests/integration."""

import socket
from pathlib import Path

import pytest

from local.pubsub_emulator import PubSubEmulator, PubSubEmulatorError, find_jar, find_java, free_port, main


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No java, no gcloud, no jar."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    for name in ("PUBSUB_EMULATOR_JAR", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)


def program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_jar_is_the_one_beside_gcloud(tmp_path):
    program(tmp_path / "sdk" / "bin" / "gcloud")
    (tmp_path / "bin" / "gcloud").symlink_to(tmp_path / "sdk" / "bin" / "gcloud")
    with pytest.raises(PubSubEmulatorError, match="gcloud components install pubsub-emulator"):
        find_jar()
    jar = tmp_path / "sdk" / "platform" / "pubsub-emulator" / "lib" / "cloud-pubsub-emulator-0.8.20-all.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    assert find_jar() == jar


def test_the_environment_names_another_jar(tmp_path, monkeypatch):
    jar = tmp_path / "my.jar"
    monkeypatch.setenv("PUBSUB_EMULATOR_JAR", str(jar))
    with pytest.raises(PubSubEmulatorError, match="names no file: .*my.jar"):
        find_jar()
    jar.touch()
    assert find_jar() == jar


def test_what_is_missing_is_named(capsys):
    with pytest.raises(
        PubSubEmulatorError, match=r"gcloud is not on the PATH; install .* \$PUBSUB_EMULATOR_JAR"
    ):
        find_jar()
    with pytest.raises(PubSubEmulatorError, match="needs java, and there is none on the PATH"):
        find_java()
    assert main(["--find"]) == 1
    assert "needs java" in capsys.readouterr().err


def test_java_home_comes_first(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(PubSubEmulatorError, match=r"none in \$JAVA_HOME"):
        find_java()
    own = program(tmp_path / "jdk" / "bin" / "java")
    assert find_java() == str(own)


def test_the_error_has_the_log_of_an_emulator_that_ends_at_once(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "java", "echo 'Error: Invalid jarfile'; exit 1")
    jar = program(tmp_path / "my.jar")
    monkeypatch.setenv("PUBSUB_EMULATOR_JAR", str(jar))
    with pytest.raises(PubSubEmulatorError, match="ended at once: Error: Invalid jarfile"):
        PubSubEmulator().start()


def test_an_emulator_that_does_not_answer_is_ended(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "java", "exec /bin/sleep 600")
    jar = program(tmp_path / "my.jar")
    monkeypatch.setenv("PUBSUB_EMULATOR_JAR", str(jar))
    emulator = PubSubEmulator(start_seconds=0)
    with pytest.raises(PubSubEmulatorError, match="did not answer in 0 s: it wrote no log"):
        emulator.start()
    assert emulator.pid is None


def test_a_free_port_is_kept_for_a_server():
    port = free_port()
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", port))  # as a program that gets any port would
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(OSError, match="in use"):
            free_port(port)
