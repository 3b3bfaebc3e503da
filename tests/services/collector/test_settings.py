from pathlib import Path

import pytest

from services.collector.settings import SettingsError, Source, load_settings

ROOT = Path(__file__).parents[3]
SOURCE = "{name: web, write_key: web-write-key}"


def load(tmp_path, text):
    path = tmp_path / "collector.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_a_source_that_says_no_more_is_enabled_without_origins_and_limits(tmp_path):
    (source,) = load(tmp_path, f"version: 1\nsources: [{SOURCE}]").sources
    assert source == Source(name="web", write_key="web-write-key", enabled=True, ip="keep")
    assert not source.allows_origin("https://shop.example")


def test_everything_that_a_source_can_say(tmp_path):
    text = """
      version: 1
      sources:
        - name: web
          write_key: web-write-key
          enabled: false
          allowed_origins: [https://shop.example, "http://localhost:3000"]
          events_per_second: 100
          ip: drop
    """
    (source,) = load(tmp_path, text).sources
    assert (source.enabled, source.events_per_second, source.ip) == (False, 100, "drop")
    assert source.allows_origin("http://localhost:3000")
    assert not source.allows_origin("http://localhost:3001")
    assert not source.allows_origin("https://shop.example.evil.example")


def test_a_star_allows_any_origin():
    assert Source(name="web", write_key="web-write-key", allowed_origins=["*"]).allows_origin("null")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "line 1: Input should be"),
        ("version: 2\nsources: [" + SOURCE + "]", "version: Input should be 1"),
        ("version: 1\nsources: []", "sources: List should have at least 1 item"),
        ("version: 1\nsources: [{name: web}]", "sources[0].write_key: Field required"),
        ("version: 1\nsources: [{name: web, write_key: short}]", "sources[0].write_key: String should match"),
        (
            "version: 1\nsources: [{name: Web!, write_key: web-write-key}]",
            "sources[0].name: String should match",
        ),
        (f"version: 1\nsources: [{SOURCE}, {SOURCE}]", "two sources have the same name"),
        (
            f"version: 1\nsources: [{SOURCE}, {{name: b, write_key: web-write-key}}]",
            "two sources have the same write_key",
        ),
        (
            "version: 1\nsources: [{name: web, write_key: web-write-key, enabledd: true}]",
            "sources[0].enabledd: Extra inputs",
        ),
        (
            "version: 1\nsources: [{name: web, write_key: web-write-key, allowed_origins: [shop.example/]}]",
            "sources[0].allowed_origins[0]: String should match",
        ),
        (
            "version: 1\nsources: [{name: web, write_key: web-write-key, events_per_second: 0}]",
            "sources[0].events_per_second: Input should be greater than 0",
        ),
        (
            "version: 1\nsources: [{name: web, write_key: web-write-key, ip: hide}]",
            "sources[0].ip: Input should",
        ),
        ("version: 1\nsources: [", "line 3: not YAML"),
        (
            "version: 1\nsources:\n- name: web\n  write_key: web-write-key\n  write_key: web-write-key-2",
            "line 5: sources[0].write_key: the key 'write_key' occurs twice, first on line 4",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_without_the_write_key(tmp_path, text, problem):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert problem in str(caught.value)
    assert "web-write-key" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match="nowhere.yaml: cannot be read"):
        load_settings(tmp_path / "nowhere.yaml")


def test_a_source_shows_no_write_key():
    assert "web-write-key" not in repr(Source(name="web", write_key="web-write-key"))


def test_the_file_for_trying_things_out_is_right():
    settings = load_settings(ROOT / "definitions" / "collector.yaml")
    assert [source.name for source in settings.sources] == ["shop-web", "shop-server"]
