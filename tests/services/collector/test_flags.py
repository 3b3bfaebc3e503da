"""What the collector's command needs, and how it ends if something of it cannot be used."""

import socket
from pathlib import Path

import pytest

from services.collector.__main__ import main, parser

SETTINGS = "version: 1\nsources: [{name: shop, write_key: shop-key-1}]\n"
TOPICS = ("--events_topic=projects/p/topics/events", "--dead_letter_topic=projects/p/topics/letters")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    (tmp_path / "collector.yaml").write_text(SETTINGS)
    return f"--settings={tmp_path}/collector.yaml"


def test_it_needs_its_settings_and_both_topics(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "required: --settings, --events_topic, --dead_letter_topic" in capsys.readouterr().err


def test_it_listens_on_this_machine_only_unless_told(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    options = parser().parse_args([settings, *TOPICS])
    assert (options.host, options.port, options.trusted_proxies) == ("127.0.0.1", 8080, 0)
    assert (options.tracking_plan, options.ignored_ids, options.public_url) == (None, None, None)


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--settings=no.yaml", "no.yaml"),
        ("--tracking_plan=no", "--tracking_plan: no cannot be read: No such file or directory"),
        ("--ignored_ids=no", "--ignored_ids: no cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_read_ends_it_with_the_flag(
    settings: str, flag: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([settings, *TOPICS, "--port=0", flag]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_port_in_use_ends_it(settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main([settings, *TOPICS, f"--port={port}"]) == 2
    assert capsys.readouterr().err.startswith(f"--port: cannot listen on 127.0.0.1:{port} (")
